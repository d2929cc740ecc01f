//go:build science

package packages

import (
	"testing"
	"testing/fstest"

	"vivarium/host"
	"vivarium/host/logs"
	pythonwasi "vivarium/python-wasi"
)

func TestScience_WorksInTheSandbox(t *testing.T) {
	info, err := pythonwasi.Science.Info()
	if err != nil {
		t.Fatal(err)
	}
	full, err := pythonwasi.Full.Info()
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t, pythonwasi.Science, host.Config{})
	for name := range info.Packages {
		if _, ok := full.Packages[name]; !ok {
			testPackage(t, h, name)
		}
	}
	testMetadata(t, h, info)
}

// numpy keeps one generator for all who don't bring their own, and an image has it. An
// attacker who sees what one clone draws must learn nothing of what another one draws.
func TestScience_ClonesShareNoRandomNumbers(t *testing.T) {
	testClones(t, pythonwasi.Science, draws)
	testClones(t, pythonwasi.Science, state)
}

// The state of numpy's generator, which it has before the first draw.
const state = `
import numpy.random


def handler(event, context):
    return {"state": numpy.random.get_state()[1].tobytes().hex()}
`

// The generators of numpy are imported, as is pandas, and used in the handler alone.
const draws = `
import numpy as np
import numpy.random
import pandas as pd

table = pd.DataFrame({"a": range(1000)})

# Without a default of its own it uses numpy's generator.
draw_later = np.random.rand


def handler(event, context):
    return {
        "rand": repr(np.random.rand()),
        "method": repr(draw_later()),
        "randint": repr(np.random.randint(0, 2**62, dtype=np.int64)),
        "normal": repr(np.random.standard_normal()),
        "shuffle": repr(np.random.permutation(1000).tolist()),
        "bytes": np.random.bytes(16).hex(),
        "sample": repr(table.sample(100)["a"].tolist()),
        "default_rng": repr(np.random.default_rng().random()),
        "RandomState": repr(np.random.RandomState().rand()),
        "SeedSequence": repr(np.random.SeedSequence().entropy),
        "spawned": repr(np.random.SeedSequence().spawn(1)[0].generate_state(4).tolist()),
        **{kind.__name__: repr(np.random.Generator(kind()).random())
           for kind in (np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64, np.random.MT19937)},
    }
`

// BenchmarkScience_ColdCall measures calls each of which is answered by a clone of its
// own, of an image in which the package is imported.
func BenchmarkScience_ColdCall(b *testing.B) {
	for _, name := range []string{"json", "numpy", "pandas"} {
		b.Run(name, func(b *testing.B) {
			h := newHost(b, pythonwasi.Science, host.Config{MaxCalls: 1, Logs: func(logs.Entry) {}})
			code := "import " + name + "\n\ndef handler(event, context):\n    return " + name + ".__version__\n"
			deploy(b, h, "cold", fstest.MapFS{"main.py": {Data: []byte(code)}})
			invoke(b, h, "cold")
			for b.Loop() {
				invoke(b, h, "cold")
			}
		})
	}
}

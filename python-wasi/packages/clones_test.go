package packages

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"vivarium/host"
	"vivarium/host/logs"
)

// Instances of one version are clones of one image, in which packages in Rust are
// imported and have seeded their hash tables. An attacker who runs one of them, or
// sees what one draws, must learn nothing of what another one draws.
func TestPackages_ClonesShareSeedsButNoKeys(t *testing.T) {
	var mu sync.Mutex
	var said []string
	h := newHost(t, host.Config{
		MaxCalls: 1, // each call on an instance of its own
		Logs: func(e logs.Entry) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, e.Message)
		},
	})
	deploy(t, h, "keys", fstest.MapFS{"main.py": {Data: []byte(keys)}})
	seen := map[string]bool{}
	for range 4 {
		var drawn map[string]string
		if err := json.Unmarshal([]byte(invoke(t, h, "keys")), &drawn); err != nil {
			t.Fatal(err)
		}
		for name, value := range drawn {
			if seen[value] {
				t.Errorf("%s: two instances drew %s", name, value)
			}
			seen[value] = true
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, message := range said {
		if strings.Contains(message, "imports the module itself") {
			t.Errorf("not frozen: %s", message)
		}
	}
}

// What is used at import has used its hash tables, too.
const keys = `
import secrets
import uuid

import pydantic
import rpds


class Model(pydantic.BaseModel):
    names: dict[str, int]
    kind: "pydantic.UUID4 | None" = None


Model.model_validate_json('{"names": {"a": 1, "b": 2}}')
tree = rpds.HashTrieMap({str(n): n for n in range(100)})


def handler(event, context):
    Model.model_validate({"names": dict(tree)})
    return {"token": secrets.token_hex(), "uuid4": str(uuid.uuid4())}
`

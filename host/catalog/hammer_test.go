package catalog

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/roomtest"
)

// Many change the same functions at once, in two processes that share a store. When
// they are done, both know the same, a third that starts from the store does too, every
// version that is listed runs with the limits that its tags give it, and nothing else
// runs.
func TestCatalog_ManyChangesAtOnceEndInOneState(t *testing.T) {
	s := memory(t)
	s.Exclusive = false
	both := []*testCatalog{open(t, s), open(t, s)}
	names := []string{"fun-a", "fun-b", "fun-c"}
	var workers sync.WaitGroup
	for w := range 8 {
		random := rand.New(rand.NewPCG(uint64(w), 1))
		workers.Go(func() {
			for i := range 60 {
				if err := change(both[random.IntN(2)], random,
					names[random.IntN(len(names))]); fault.Of(err) == fault.Internal && err != nil {
					t.Errorf("worker %d, change %d: %v", w, i, err)
				}
			}
		})
	}
	workers.Wait()
	roomtest.Until(t, "both know the same", func() bool { return both[0].state() == both[1].state() })
	third := open(t, s)
	if got, want := third.state(), both[0].state(); got != want {
		t.Errorf("from the store:\n%s\nin memory:\n%s", got, want)
	}
	for i, c := range append(both, third) {
		versions, err := c.Versions(access.Operator, "")
		if err != nil {
			t.Fatal(err)
		}
		listed := []string{}
		for _, v := range versions {
			listed = append(listed, v.ID)
		}
		slices.Sort(listed)
		roomtest.Until(t, "what is listed runs, and nothing else", func() bool { return slices.Equal(c.versions(), listed) })
		for _, v := range versions {
			want := c.records.functions[v.FunctionID].record.limits(v.Version)
			if got := c.limits[v.ID]; got == nil || *got != want {
				t.Errorf("catalog %d: limits of %v: got %+v, want %+v", i, v.Tags, got, want)
			}
		}
	}
}

// change makes one change of a function, whatever that comes to.
func change(c *testCatalog, random *rand.Rand, name string) error {
	ctx, p, tag := c.t.Context(), access.Operator, fmt.Sprintf("tag-%d", random.IntN(3))
	f, err := c.Function(p, name)
	if err != nil {
		_, err := c.CreateFunction(ctx, p, FunctionSpec{Name: name})
		return err
	}
	versions, err := c.Versions(p, f.ID)
	if err != nil {
		return err
	}
	switch n := random.IntN(20); {
	case len(versions) == 0 || n < 6:
		_, err = c.CreateVersion(ctx, p, f.ID, VersionSpec{Entrypoint: "a.b"}, fmt.Append(nil, random.IntN(4)), []string{tag})
	case n < 10:
		_, err = c.SetTag(ctx, p, versions[random.IntN(len(versions))].ID, tag)
	case n < 12:
		_, err = c.RemoveTag(ctx, p, versions[random.IntN(len(versions))].ID, tag)
	case n < 15:
		err = c.DeleteVersion(ctx, p, versions[random.IntN(len(versions))].ID, random.IntN(2) == 0)
	case n < 17:
		err = c.SetScalingPolicy(ctx, p, f.ID, ScalingPolicy{Tag: tag, ZoneInstancesLimit: 1 + random.IntN(5)})
	case n < 18:
		err = c.RemoveScalingPolicy(ctx, p, f.ID, tag)
	case n < 19:
		text := fmt.Sprint(n)
		_, err = c.UpdateFunction(ctx, p, f.ID, FunctionUpdate{Description: &text})
	default:
		err = c.DeleteFunction(ctx, p, f.ID)
	}
	return err
}

// state tells of all that a catalog knows.
func (c *testCatalog) state() string {
	c.t.Helper()
	functions, err := c.Functions(access.Operator)
	if err != nil {
		c.t.Fatal(err)
	}
	text := ""
	for _, f := range functions {
		f.Latest = nil // the same version is another value elsewhere
		text += fmt.Sprintf("%+v\n", f)
		versions, err := c.Versions(access.Operator, f.ID)
		if err != nil && fault.Of(err) != fault.NotFound {
			c.t.Fatal(err)
		}
		for _, v := range versions {
			text += fmt.Sprintf("  %s %s %v %s\n", v.ID, v.Status, v.Tags, v.SHA256)
		}
		policies, _ := c.ScalingPolicies(access.Operator, f.ID)
		text += fmt.Sprintf("  %+v\n", policies)
	}
	return text
}

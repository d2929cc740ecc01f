package catalog

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/roomtest"
)

// tagged is a function's tags kept by hand.
type tagged struct {
	versions []string                   // in order of creation
	tags     map[string]string          // versions by tag
	carried  map[string]map[string]bool // who has ever carried a tag
}

func (m *tagged) set(tag, version string) {
	m.tags[tag] = version
	if m.carried[tag] == nil {
		m.carried[tag] = map[string]bool{}
	}
	m.carried[tag][version] = true
}

func (m *tagged) count(version string) (n int) {
	for tag, id := range m.tags {
		if id == version && tag != LatestTag {
			n++
		}
	}
	return n
}

// Whatever is done to tags and versions at random: a tag is on one version, what is there
// is what was asked for, and the history tells of every move, one after the other.
func TestTags_AreWhatTheyWereSetTo(t *testing.T) {
	s := memory(t)
	c, m := open(t, s), &tagged{tags: map[string]string{}, carried: map[string]map[string]bool{}}
	f := c.create("", "fun")
	ctx, tags := t.Context(), []string{"a", "b", "c", "d"}
	for step := range 200 {
		tag := tags[rand.IntN(len(tags))]
		if len(m.versions) == 0 || rand.IntN(8) == 0 {
			v := c.version("fun", fmt.Sprint(step), tag)
			m.versions = append(m.versions, v.ID)
			m.set(LatestTag, v.ID)
			m.set(tag, v.ID)
			continue
		}
		id := m.versions[rand.IntN(len(m.versions))]
		switch rand.IntN(4) {
		case 0, 1:
			v, err := c.SetTag(ctx, access.Operator, id, tag)
			if err != nil || !slices.Contains(v.Tags, tag) || v.Status != StatusActive {
				t.Fatalf("set %s: %+v, %v", tag, v, err)
			}
			m.set(tag, id)
		case 2:
			v, err := c.RemoveTag(ctx, access.Operator, id, tag)
			if m.tags[tag] != id {
				wantError[*fault.NotFoundError](t, err, "tag "+tag)
				break
			}
			if delete(m.tags, tag); err != nil || slices.Contains(v.Tags, tag) {
				t.Fatalf("remove %s: %+v, %v", tag, v, err)
			}
		default:
			force := rand.IntN(2) == 0
			err := c.DeleteVersion(ctx, access.Operator, id, force)
			if bare := m.count(id) == 0 && m.tags[LatestTag] != id; !bare && !force {
				wantError[*fault.ConflictError](t, err, "carries the tags")
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			m.versions = slices.DeleteFunc(m.versions, func(v string) bool { return v == id })
			for tag, on := range maps.Clone(m.tags) {
				if on != id {
					continue
				}
				if delete(m.tags, tag); tag == LatestTag && len(m.versions) > 0 {
					m.set(tag, m.versions[len(m.versions)-1])
				}
			}
		}
		if step%20 == 0 {
			c.Close()
			c = open(t, s)
		}
		m.check(t, c, f.ID)
	}
}

func (m *tagged) check(t *testing.T, c *testCatalog, function string) {
	t.Helper()
	info, err := c.Function(access.Operator, function)
	if err != nil || !maps.Equal(info.Tags, m.tags) {
		t.Fatalf("tags: %v, %v, want %v", info.Tags, err, m.tags)
	}
	versions, err := c.Versions(access.Operator, function)
	if err != nil || len(versions) != len(m.versions) {
		t.Fatalf("%d versions, %v, want %d", len(versions), err, len(m.versions))
	}
	for n, v := range versions { // newest first
		if v.ID != m.versions[len(versions)-1-n] {
			t.Fatalf("version %d is %s", n, v.ID)
		}
		want := StatusObsolete
		if m.count(v.ID) > 0 || m.tags[LatestTag] == v.ID {
			want = StatusActive
		}
		if v.Status != want {
			t.Fatalf("%s with %v is %s", v.ID, v.Tags, v.Status)
		}
	}
	history, err := c.TagHistory(access.Operator, function)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(history)
	last, carried := map[string]TagEvent{}, map[string]map[string]bool{}
	for _, e := range history {
		before, there := last[e.Tag]
		if e.From.IsZero() || there && (before.To.IsZero() || before.To.After(e.From)) || !e.To.IsZero() && e.To.Before(e.From) {
			t.Fatalf("%+v follows %+v", e, before)
		}
		last[e.Tag] = e
		if carried[e.Tag] == nil {
			carried[e.Tag] = map[string]bool{}
		}
		carried[e.Tag][e.VersionID] = true
	}
	for tag, e := range last {
		if id := m.tags[tag]; id == "" && e.To.IsZero() || id != "" && (e.VersionID != id || !e.To.IsZero()) {
			t.Fatalf("%s is on %q, and last %+v", tag, id, e)
		}
	}
	if fmt.Sprint(carried) != fmt.Sprint(m.carried) {
		t.Fatalf("tags were on %v, want %v", carried, m.carried)
	}
}

// A history has its newest thousand entries, and the present ones are right without the
// older ones.
func TestTags_HistoryIsBounded(t *testing.T) {
	r, now := newRecord(FunctionSpec{}), time.Now()
	r.move("kept", "v0", now)
	for n := range 3 * maxTagHistory {
		r.move("moving", fmt.Sprint("v", n), now)
		r.move("moving", fmt.Sprint("v", n), now) // where it is already
	}
	if n := len(r.History); n != maxTagHistory || r.History[n-1].VersionID != fmt.Sprint("v", 3*maxTagHistory-1) {
		t.Errorf("%d entries, the last is %+v", n, r.History[n-1])
	}
	r.move("kept", "v1", now) // its entry is gone
	open := 0
	for _, e := range r.History {
		if e.To.IsZero() {
			open++
		}
	}
	if open != len(r.Tags) || r.Tags["kept"] != "v1" {
		t.Errorf("%d tags are carried, by %v", open, r.Tags)
	}
}

// A version has ten tags, in whichever way they come to it, and one that is refused
// changes nothing.
func TestTags_AreBoundedForAVersion(t *testing.T) {
	c := open(t, memory(t))
	c.create("", "fun")
	var ten []string
	for n := range maxTags {
		ten = append(ten, fmt.Sprint("t", n))
	}
	full, other := c.version("fun", "full", ten...), c.version("fun", "other", "extra")
	before := c.state()
	_, err := c.SetTag(t.Context(), access.Operator, full.ID, "extra")
	wantError[*fault.InvalidError](t, err, "more than 10 tags")
	_, err = c.SetTag(t.Context(), access.Operator, full.ID, "Bad")
	wantError[*fault.InvalidError](t, err, "tag: ")
	_, err = c.RemoveTag(t.Context(), access.Operator, full.ID, LatestTag)
	wantError[*fault.ConflictError](t, err, "set by the service")
	_, err = c.SetTag(t.Context(), access.Operator, NewID(VersionPrefix), "extra")
	wantError[*fault.NotFoundError](t, err, "version")
	if after := c.state(); after != before {
		t.Errorf("there is\n%s\nbefore it was\n%s", after, before)
	}
	if _, err := c.SetTag(t.Context(), access.Operator, full.ID, "t0"); err != nil {
		t.Errorf("one that it has: %v", err)
	}
	// As many with the newest one's, which does not count.
	if err := c.DeleteVersion(t.Context(), access.Operator, other.ID, true); err != nil {
		t.Fatal(err)
	}
	if v, err := c.VersionByTag(access.Operator, "fun", "t9"); err != nil || len(v.Tags) != maxTags+1 {
		t.Errorf("got %+v, %v", v.Tags, err)
	}
}

// The policies of all tags that a version carries count, each limit for itself; a version
// without tags is kept ready for nobody.
func TestScalingPolicies_OfSeveralTags(t *testing.T) {
	policies := []ScalingPolicy{
		{Tag: "a", ProvisionedInstances: 2, ZoneInstancesLimit: 3, ZoneRequestsLimit: 50}, {Tag: "b", ZoneInstancesLimit: 5},
		{Tag: "c", ProvisionedInstances: 20}, {Tag: "d", ZoneRequestsLimit: 7},
	}
	for tags, want := range map[string]Limits{
		"":     {Ready: 0, Instances: 10},
		"x":    {Ready: 1, Instances: 10},
		"a":    {Ready: 2, Instances: 3, Requests: 50},
		"b":    {Ready: 1, Instances: 5},
		"c":    {Ready: 20, Instances: 20},
		"d":    {Ready: 1, Instances: 10, Requests: 7},
		"ab":   {Ready: 2, Instances: 5, Requests: 50},
		"ad":   {Ready: 2, Instances: 3, Requests: 50},
		"abcd": {Ready: 20, Instances: 20, Requests: 50},
	} {
		r := functionRecord{Tags: map[string]string{"other": "v2"}, Policies: append([]ScalingPolicy{{Tag: "other", ZoneInstancesLimit: 99}}, policies...)}
		for _, tag := range tags {
			r.Tags[string(tag)] = "v1"
		}
		v := &Version{ID: "v1", VersionSpec: VersionSpec{MinInstances: 1, MaxInstances: 10}}
		if got := r.limits(v); got != want {
			t.Errorf("with %q: got %+v, want %+v", tags, got, want)
		}
	}
}

func TestScalingPolicies_AreListedByTagAndReplaced(t *testing.T) {
	s := memory(t)
	c := open(t, s)
	c.create("", "fun")
	for _, p := range []ScalingPolicy{
		{Tag: "b", ZoneInstancesLimit: 1}, {Tag: LatestTag, ZoneInstancesLimit: 2}, {Tag: "a", ZoneInstancesLimit: 3},
		{Tag: "b", ZoneRequestsLimit: 4},
	} {
		if err := c.SetScalingPolicy(t.Context(), access.Operator, "fun", p); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	c = open(t, s)
	want := []ScalingPolicy{{Tag: LatestTag, ZoneInstancesLimit: 2}, {Tag: "a", ZoneInstancesLimit: 3}, {Tag: "b", ZoneRequestsLimit: 4}}
	got, err := c.ScalingPolicies(access.Operator, "fun")
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	got[0].ZoneInstancesLimit = 99 // the caller's own
	if again, _ := c.ScalingPolicies(access.Operator, "fun"); !slices.Equal(again, want) {
		t.Errorf("then %+v", again)
	}
	wantError[*fault.NotFoundError](t, c.RemoveScalingPolicy(t.Context(), access.Operator, "fun", "c"), "tag c")
	_, err = c.ScalingPolicies(access.Operator, "nobody")
	wantError[*fault.NotFoundError](t, err, "nobody")
}

// A version goes when it was without tags for as long as that takes, counted over
// restarts, and from its last tag on.
func TestVersions_ExpireByTheirLastTag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory(t)
		keep := func(cfg *Config) { cfg.KeepObsolete = 24 * time.Hour }
		c := open(t, s, keep)
		c.create("", "fun")
		old, again, kept := c.version("fun", "old"), c.version("fun", "again", "prod"), c.version("fun", "kept", "stable")
		newest := c.version("fun", "newest")
		tag := func(id, tag string) {
			if _, err := c.SetTag(t.Context(), access.Operator, id, tag); err != nil {
				t.Error(err)
			}
		}
		there := func(what string, want ...VersionInfo) {
			t.Helper()
			var ids, got []string
			for _, v := range want {
				ids = append(ids, v.ID)
			}
			versions, err := c.Versions(access.Operator, "fun")
			for _, v := range versions {
				got = append(got, v.ID)
			}
			slices.Sort(ids)
			slices.Sort(got)
			if err != nil || !slices.Equal(got, ids) || !slices.Equal(c.versions(), ids) {
				t.Errorf("%s: there are %v, run %v, %v, want %v", what, got, c.versions(), err, ids)
			}
		}
		time.Sleep(20 * time.Hour)
		there("before the day is over", old, again, kept, newest)
		if _, err := c.RemoveTag(t.Context(), access.Operator, again.ID, "prod"); err != nil {
			t.Error(err)
		}
		c.Close()
		c = open(t, s, keep)
		time.Sleep(6 * time.Hour)
		there("a day after the first lost its tag, with a restart between", again, kept, newest)
		tag(again.ID, "prod") // it is needed after all
		time.Sleep(30 * time.Hour)
		there("with a tag", again, kept, newest)
		tag(newest.ID, "prod")
		time.Sleep(23 * time.Hour)
		there("nearly a day after it lost that", again, kept, newest)
		time.Sleep(3 * time.Hour)
		there("more than a day after", kept, newest)
		c.Close()
		c = open(t, s, func(cfg *Config) { cfg.KeepObsolete = -1 })
		tag(newest.ID, "stable")
		time.Sleep(1000 * time.Hour)
		there("for ever", kept, newest)
		if err := c.Retire(t.Context(), access.Operator, "fun"); err != nil {
			t.Error(err)
		}
		there("retired", newest)
		c.Close()
		s.Close()
	})
}

// What has got a tag while it was about to be retired stays.
func TestRetire_KeepsWhatGetsATagMeanwhile(t *testing.T) {
	c := open(t, memory(t))
	c.create("", "fun")
	one, two, three := c.version("fun", "one"), c.version("fun", "two"), c.version("fun", "three")
	c.note(func() { c.holding = make(chan struct{}) }) // a call of the first goes on
	retired := make(chan error)
	go func() { retired <- c.Retire(t.Context(), access.Operator, "fun") }()
	roomtest.Until(t, "the first is retired", func() bool { _, err := c.Version(access.Operator, one.ID); return err != nil })
	if _, err := c.SetTag(t.Context(), access.Operator, two.ID, "prod"); err != nil {
		t.Fatal(err)
	}
	c.note(func() { close(c.holding); c.holding = nil })
	if err := <-retired; err != nil {
		t.Error(err)
	}
	want := slices.Sorted(slices.Values([]string{two.ID, three.ID}))
	if _, err := c.Version(access.Operator, two.ID); err != nil || !slices.Equal(c.versions(), want) {
		t.Errorf("%v; run %v", err, c.versions())
	}
}

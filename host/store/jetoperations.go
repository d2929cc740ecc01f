package store

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// jetOperations implements Operations. A message's subject has the tenant, what the operation
// is about, and its id.
type jetOperations struct {
	*reader

	mu    sync.Mutex     // guards added
	added map[string]int // by tenant, since its operations were trimmed here
}

func (j *jetOperations) Put(ctx context.Context, o Operation) error {
	m := nats.NewMsg(j.names.operations() + word(o.Tenant) + "." + word(o.About) + "." + o.ID)
	m.Data = o.Value
	if _, _, err := j.link.publish(ctx, j.js, m); err != nil {
		return unavailable("operations", err)
	}
	if !j.full(o.Tenant) {
		return nil
	}
	err := j.purge(ctx, j.stream, jetstream.WithPurgeSubject(j.names.operations()+word(o.Tenant)+".>"), jetstream.WithPurgeKeep(maxOperations))
	return unavailable("operations", err)
}

// full counts an operation of a tenant, and reports whether its operations are to be trimmed.
func (j *jetOperations) full(tenant string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.added[tenant]++; j.added[tenant] < trimInterval {
		return false
	}
	delete(j.added, tenant)
	return true
}

func (j *jetOperations) Get(ctx context.Context, id string) (Operation, error) {
	if !validKey.MatchString(id) || strings.Contains(id, ".") {
		return Operation{}, ErrNotFound
	}
	var m *jetstream.RawStreamMsg
	err := j.link.repeat(ctx, attemptTime, func(ctx context.Context) (err error) {
		m, err = j.stream.GetLastMsgForSubject(ctx, j.names.operations()+"*.*."+id)
		return err
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Operation{}, ErrNotFound
	}
	if err != nil {
		return Operation{}, unavailable("operations", err)
	}
	return j.operation(m.Subject, m.Data, m.Time), nil
}

func (j *jetOperations) About(ctx context.Context, tenant, about string) (all []Operation, err error) {
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: []string{j.names.operations() + word(tenant) + "." + word(about) + ".*"}}
	err = j.read(ctx, cfg, jetstream.DefaultMaxMessages, opTimeout, func(m jetstream.Msg, _ uint64, at time.Time) bool {
		all = append(all, j.operation(m.Subject(), m.Data(), at))
		return true
	})
	return all, err
}

func (j *jetOperations) operation(subject string, value []byte, stored time.Time) Operation {
	words := strings.Split(strings.TrimPrefix(subject, j.names.operations()), ".")
	return Operation{ID: words[2], Tenant: unword(words[0]), About: unword(words[1]), Value: value, Stored: stored}
}

// word returns a text as a word of a subject, which is not empty and no wildcard.
func word(s string) string {
	switch s {
	case "":
		return "-"
	case "*":
		return "+"
	}
	return s
}

// unword returns what word has made a word of.
func unword(w string) string {
	switch w {
	case "-":
		return ""
	case "+":
		return "*"
	}
	return w
}

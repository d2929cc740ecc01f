package store

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// memLetters implements Letters in memory.
type memLetters struct {
	*memory
	most int64 // bytes
	age  time.Duration

	mu      sync.Mutex // guards all below; nothing blocks under it
	letters []*Item    // oldest first
	last    uint64     // sequence
	size    int64      // bytes
	known   knownIDs
}

func (l *memLetters) Add(_ context.Context, i Item) (sequence uint64, err error) {
	if err := l.open(); err != nil {
		return 0, err
	}
	size := itemSize(&i)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.expire(now)
	if sequence, again := l.known.find(i.ID, now); again {
		return sequence, nil
	}
	if size > l.most {
		return 0, fmt.Errorf("%w: a dead letter of %d bytes, where there is room for %d", ErrUnavailable, size, l.most)
	}
	n := 0
	for freed := int64(0); l.size-freed+size > l.most; n++ {
		freed += itemSize(l.letters[n])
	}
	l.drop(n)
	l.last++
	i.Sequence, i.Stored, i.Timer = l.last, now, false
	l.known.note(i.ID, i.Sequence, now)
	own := ownItem(i)
	l.letters = append(l.letters, &own)
	l.size += size
	return i.Sequence, nil
}

// expire removes letters that are too old. The caller holds the mutex.
func (l *memLetters) expire(now time.Time) {
	n := 0
	for n < len(l.letters) && now.Sub(l.letters[n].Stored) > l.age {
		n++
	}
	l.drop(n)
}

// drop removes the n oldest letters. The caller holds the mutex.
func (l *memLetters) drop(n int) {
	for _, i := range l.letters[:n] {
		l.size -= itemSize(i)
	}
	clear(l.letters[:n])
	l.letters = l.letters[n:]
}

// after returns the index of the first letter after a sequence. The caller
// holds the mutex.
func (l *memLetters) after(sequence uint64) int {
	n, _ := slices.BinarySearchFunc(l.letters, sequence, func(i *Item, sequence uint64) int {
		if i.Sequence <= sequence {
			return -1
		}
		return 1
	})
	return n
}

func (l *memLetters) Get(_ context.Context, sequence uint64) (Item, error) {
	if err := l.open(); err != nil {
		return Item{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire(time.Now())
	if n := l.after(sequence) - 1; n >= 0 && l.letters[n].Sequence == sequence {
		return lendItem(*l.letters[n]), nil
	}
	return Item{}, ErrNotFound
}

// next returns the first letter after a sequence that belongs to a wanted
// function, or to any if none are given.
func (l *memLetters) next(wanted map[string]bool, after uint64) *Item {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire(time.Now())
	for _, i := range l.letters[l.after(after):] {
		if len(wanted) == 0 || wanted[i.FunctionID] {
			return i
		}
	}
	return nil
}

// each passes letters to each until it returns false.
func (l *memLetters) each(ctx context.Context, functionIDs []string, after uint64, each func(*Item) (more bool)) error {
	wanted := make(map[string]bool, len(functionIDs))
	for _, id := range functionIDs {
		wanted[id] = true
	}
	for {
		if err := l.open(); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		i := l.next(wanted, after)
		if i == nil || !each(i) {
			return nil
		}
		after = i.Sequence
	}
}

func (l *memLetters) List(ctx context.Context, functionIDs []string, after uint64, each func(Item) (more bool)) error {
	return l.each(ctx, functionIDs, after, func(i *Item) bool { return each(lendItem(*i)) })
}

func (l *memLetters) Sizes(ctx context.Context, each func(functionID string, sequence uint64, bytes int64)) error {
	return l.each(ctx, nil, 0, func(i *Item) bool {
		each(i.FunctionID, i.Sequence, LetterSize(*i))
		return true
	})
}

func (l *memLetters) Delete(_ context.Context, sequence uint64) error {
	return l.remove(func(i *Item) bool { return i.Sequence == sequence })
}

func (l *memLetters) Drop(_ context.Context, functionID string, last uint64) error {
	return l.remove(func(i *Item) bool { return i.FunctionID == functionID && i.Sequence <= last })
}

// remove removes the letters that which selects.
func (l *memLetters) remove(which func(*Item) bool) error {
	if err := l.open(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.letters = slices.DeleteFunc(l.letters, func(i *Item) bool {
		gone := which(i)
		if gone {
			l.size -= itemSize(i)
		}
		return gone
	})
	return nil
}

func (l *memLetters) Use(context.Context) (bytes, capacity int64, err error) {
	if err := l.open(); err != nil {
		return 0, 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire(time.Now())
	return l.size, l.most, nil
}

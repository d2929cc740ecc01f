package grpcapi

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"vivarium/host/access"
)

const (
	// maxStreamed bounds one message of a stream, which has a name in it, in bytes.
	maxStreamed = 8 << 10
	// messageTimeout is how long a stream waits for its next message.
	messageTimeout = time.Minute
	// writeTimeout is how long the reader of an endless answer may not read.
	writeTimeout = time.Minute
)

// endStream ends a stream before its caller does: when the server is to end, or when the
// caller's key is revoked. It returns once the stream has ended.
func (s *Server) endStream(ctx context.Context, end context.CancelFunc, caller access.Principal) {
	select {
	case <-s.streams:
	case <-s.host.Keys().Revoked(caller):
	case <-ctx.Done():
	}
	end()
}

// streamWriter lets an endless answer last, as long as its reader reads.
type streamWriter struct{ http.ResponseWriter }

// Write implements http.ResponseWriter.
func (w streamWriter) Write(p []byte) (int, error) {
	w.limit(time.Now().Add(writeTimeout))
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (w streamWriter) Flush() {
	w.limit(time.Now().Add(writeTimeout))
	_ = http.NewResponseController(w.ResponseWriter).Flush()
	w.limit(time.Time{})
}

func (w streamWriter) limit(at time.Time) {
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(at) // a recorder knows none
}

// stream runs a method with many messages.
func (s *Server) stream(server any, of grpc.ServerStream, info *grpc.StreamServerInfo, run grpc.StreamHandler) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = s.status(of.Context(), info.FullMethod, fmt.Errorf("panic: %v\n%s", r, debug.Stack())).Err()
		}
	}()
	if info.IsClientStream {
		c := &conversation{ServerStream: of, server: s, call: callOf(of.Context()), path: info.FullMethod, end: func() {}}
		defer func() { c.end() }()
		defer context.AfterFunc(of.Context(), func() { _ = c.call.Body.Close() })() // ends what reads
		of = c
	}
	return run(server, of)
}

// conversation is a stream whose caller sends messages, too. It reads them itself: grpc
// would read ahead without bounds, into 16 KiB for each byte that arrives alone. Each is
// answered in the caller's turn.
type conversation struct {
	grpc.ServerStream
	server *Server
	call   *call
	path   string
	end    func() // ends the turn
}

// RecvMsg implements grpc.ServerStream.
func (c *conversation) RecvMsg(m any) error {
	c.end()
	message, err := c.call.next()
	if err == nil {
		var done func()
		if done, err = c.server.desk.Turn(c.call.Request); err == nil {
			c.end = sync.OnceFunc(done)
			if proto.Unmarshal(message, m.(proto.Message)) != nil {
				err = status.Error(codes.InvalidArgument, "the message is not one of this method")
			}
		}
	}
	if err == nil || err == io.EOF {
		return err
	}
	return c.server.status(c.Context(), c.path, err).Err()
}

// SendMsg implements grpc.ServerStream. The message counts for as long as the reader takes.
func (c *conversation) SendMsg(m any) error {
	c.end()
	held := c.server.desk.Hold(access.PrincipalOf(c.Context()))
	defer held.Release()
	if err := held.Reserve(2 * proto.Size(m.(proto.Message))); err != nil { // and grpc's copy
		return c.server.status(c.Context(), c.path, err).Err()
	}
	return c.ServerStream.SendMsg(m)
}

// next reads one message of a stream.
//
// # Errors
//
// io.EOF after the last one; a status.
func (c *call) next() ([]byte, error) {
	connection := http.NewResponseController(c.writer)
	_ = connection.SetReadDeadline(time.Now().Add(messageTimeout)) // a recorder knows none
	var head [frame]byte
	if _, err := io.ReadFull(c.Body, head[:]); err != nil {
		return nil, unread(err)
	}
	size := binary.BigEndian.Uint32(head[1:])
	switch {
	case head[0] != 0:
		return nil, status.Error(codes.Unimplemented, "messages that are compressed are not decompressed here")
	case size > maxStreamed:
		return nil, status.Errorf(codes.ResourceExhausted, "the message is larger than %d bytes", maxStreamed)
	}
	message := make([]byte, size)
	if _, err := io.ReadFull(c.Body, message); err == io.EOF {
		return nil, unread(io.ErrUnexpectedEOF)
	} else if err != nil {
		return nil, unread(err)
	}
	_ = connection.SetReadDeadline(time.Time{})
	return message, nil
}

// unread returns the error of a stream whose next message could not be read.
func unread(err error) error {
	switch {
	case err == io.EOF:
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return status.Errorf(codes.DeadlineExceeded, "no whole message has come for %s; open a new stream when there is one", messageTimeout)
	}
	return status.Error(codes.Canceled, "the stream ended early")
}

package host

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Discovery_V1"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Query_V1"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Table_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Discovery"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Operations"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Query"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Table"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// ydbServer stands in for a database: it answers queries with their parameters, as a
// row with a column for each, and has the services by which ydb's library gets there.
type ydbServer struct {
	Ydb_Discovery_V1.UnimplementedDiscoveryServiceServer
	address  string
	sessions atomic.Int64
	attached atomic.Int64
	aborted  atomic.Bool
}

func startYDB(t *testing.T) (server *ydbServer) {
	t.Helper()
	server = &ydbServer{}
	server.address = serveGRPC(t, func(r grpc.ServiceRegistrar) {
		Ydb_Discovery_V1.RegisterDiscoveryServiceServer(r, server)
		Ydb_Query_V1.RegisterQueryServiceServer(r, ydbQueries{ydbServer: server})
		Ydb_Table_V1.RegisterTableServiceServer(r, ydbTables{ydbServer: server})
	}, grpc.UnaryInterceptor(func(ctx context.Context, in any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		if err := knowsYDB(ctx); err != nil {
			return nil, err
		}
		return handle(ctx, in)
	}), grpc.StreamInterceptor(func(s any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
		if err := knowsYDB(stream.Context()); err != nil {
			return err
		}
		return handle(s, stream)
	}))
	return server
}

// knowsYDB fails calls that don't name the database and the token.
func knowsYDB(ctx context.Context) error {
	sent, _ := metadata.FromIncomingContext(ctx)
	if got := fmt.Sprint(sent.Get("x-ydb-database"), sent.Get("x-ydb-auth-ticket")); got != "[/local] [secret]" {
		return status.Error(codes.Unauthenticated, got)
	}
	return nil
}

// done is the operation of a call that has a result.
func done(result proto.Message) *Ydb_Operations.Operation {
	packed, err := anypb.New(result)
	if err != nil {
		panic(err)
	}
	return &Ydb_Operations.Operation{Id: "1", Ready: true, Status: Ydb.StatusIds_SUCCESS, Result: packed}
}

func (s *ydbServer) session() string { return fmt.Sprintf("session-%d", s.sessions.Add(1)) }

// answer is a result set of parameters.
func answer(parameters map[string]*Ydb.TypedValue) *Ydb.ResultSet {
	row, result := &Ydb.Value{}, &Ydb.ResultSet{}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		result.Columns = append(result.Columns, &Ydb.Column{Name: strings.TrimPrefix(name, "$"), Type: parameters[name].Type})
		row.Items = append(row.Items, parameters[name].Value)
	}
	result.Rows = append(result.Rows, row)
	return result
}

func (s *ydbServer) ListEndpoints(context.Context, *Ydb_Discovery.ListEndpointsRequest) (*Ydb_Discovery.ListEndpointsResponse, error) {
	host, port, err := net.SplitHostPort(s.address)
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(port)
	return &Ydb_Discovery.ListEndpointsResponse{Operation: done(&Ydb_Discovery.ListEndpointsResult{
		Endpoints: []*Ydb_Discovery.EndpointInfo{{Address: host, Port: uint32(n), NodeId: 1, Location: "here"}}, SelfLocation: "here",
	})}, err
}

// ydbQueries is the service for queries.
type ydbQueries struct {
	Ydb_Query_V1.UnimplementedQueryServiceServer
	*ydbServer
}

func (s ydbQueries) CreateSession(context.Context, *Ydb_Query.CreateSessionRequest) (*Ydb_Query.CreateSessionResponse, error) {
	return &Ydb_Query.CreateSessionResponse{Status: Ydb.StatusIds_SUCCESS, SessionId: s.session(), NodeId: 1}, nil
}

func (s ydbQueries) DeleteSession(context.Context, *Ydb_Query.DeleteSessionRequest) (*Ydb_Query.DeleteSessionResponse, error) {
	return &Ydb_Query.DeleteSessionResponse{Status: Ydb.StatusIds_SUCCESS}, nil
}

func (s ydbQueries) AttachSession(_ *Ydb_Query.AttachSessionRequest, stream Ydb_Query_V1.QueryService_AttachSessionServer) error {
	s.attached.Add(1)
	defer s.attached.Add(-1)
	if err := stream.Send(&Ydb_Query.SessionState{Status: Ydb.StatusIds_SUCCESS}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

func (s ydbQueries) ExecuteQuery(in *Ydb_Query.ExecuteQueryRequest, stream Ydb_Query_V1.QueryService_ExecuteQueryServer) error {
	text := in.GetQueryContent().GetText()
	if text == "fails once" && s.aborted.CompareAndSwap(false, true) {
		return stream.Send(&Ydb_Query.ExecuteQueryResponsePart{
			Status: Ydb.StatusIds_ABORTED, Issues: []*Ydb_Issue.IssueMessage{{Message: "locks are gone"}},
		})
	}
	if text == "nonsense" {
		return stream.Send(&Ydb_Query.ExecuteQueryResponsePart{
			Status: Ydb.StatusIds_GENERIC_ERROR, Issues: []*Ydb_Issue.IssueMessage{{Message: "mismatched input"}},
		})
	}
	for range 3 {
		err := stream.Send(&Ydb_Query.ExecuteQueryResponsePart{
			Status: Ydb.StatusIds_SUCCESS, ResultSet: answer(in.Parameters), TxMeta: &Ydb_Query.TransactionMeta{Id: "tx"},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s ydbQueries) BeginTransaction(context.Context, *Ydb_Query.BeginTransactionRequest) (*Ydb_Query.BeginTransactionResponse, error) {
	return &Ydb_Query.BeginTransactionResponse{Status: Ydb.StatusIds_SUCCESS, TxMeta: &Ydb_Query.TransactionMeta{Id: "tx"}}, nil
}

func (s ydbQueries) CommitTransaction(context.Context, *Ydb_Query.CommitTransactionRequest) (*Ydb_Query.CommitTransactionResponse, error) {
	return &Ydb_Query.CommitTransactionResponse{Status: Ydb.StatusIds_SUCCESS}, nil
}

// ydbTables is the service for tables.
type ydbTables struct {
	Ydb_Table_V1.UnimplementedTableServiceServer
	*ydbServer
}

func (s ydbTables) CreateSession(context.Context, *Ydb_Table.CreateSessionRequest) (*Ydb_Table.CreateSessionResponse, error) {
	return &Ydb_Table.CreateSessionResponse{Operation: done(&Ydb_Table.CreateSessionResult{SessionId: s.session()})}, nil
}

func (s ydbTables) DeleteSession(context.Context, *Ydb_Table.DeleteSessionRequest) (*Ydb_Table.DeleteSessionResponse, error) {
	return &Ydb_Table.DeleteSessionResponse{Operation: done(&Ydb_Table.DeleteSessionRequest{})}, nil
}

func (s ydbTables) ExecuteDataQuery(_ context.Context, in *Ydb_Table.ExecuteDataQueryRequest) (*Ydb_Table.ExecuteDataQueryResponse, error) {
	return &Ydb_Table.ExecuteDataQueryResponse{Operation: done(&Ydb_Table.ExecuteQueryResult{
		ResultSets: []*Ydb.ResultSet{answer(in.Parameters)}, TxMeta: &Ydb_Table.TransactionMeta{Id: "tx"},
	})}, nil
}

func (s ydbTables) StreamExecuteScanQuery(
	in *Ydb_Table.ExecuteScanQueryRequest, stream Ydb_Table_V1.TableService_StreamExecuteScanQueryServer,
) error {
	for range 3 {
		err := stream.Send(&Ydb_Table.ExecuteScanQueryPartialResponse{
			Status: Ydb.StatusIds_SUCCESS, Result: &Ydb_Table.ExecuteScanQueryPartialResult{ResultSet: answer(in.Parameters)},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

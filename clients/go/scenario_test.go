package secrets_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	secrets "github.com/iotoperations/secret-service/clients/go"
	pb "github.com/iotoperations/secret-service/clients/go/gen/iotoperations/secrets/v1"
)

// step is one call of the scenario that all languages share, and what must come of it.
type step struct {
	Name     string
	Call     string
	Request  any
	Response map[string]any
	Save     map[string]string
	Error    *failure
}

// failure is an error as the scenario knows it.
type failure struct {
	Code, Reason string
	Fields       []string
}

// caller is one way to call the service: a request and its answer in JSON, or what it failed with.
type caller func(ctx context.Context, call string, request []byte) ([]byte, *failure, error)

func TestTheScenarioRunsThroughThisPackage(t *testing.T) {
	s := serve(t)
	runScenario(t, layer(s.client(t)))
}

func TestTheScenarioRunsThroughPlainGeneratedCode(t *testing.T) {
	s := serve(t)
	conn, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	runScenario(t, plain(conn))
}

func TestTheScenarioRunsThroughGrpcurlWithReflection(t *testing.T) {
	grpcurl, err := exec.LookPath("grpcurl")
	if err != nil {
		t.Skip("SKIPPED: grpcurl is not installed")
	}
	runScenario(t, curl(grpcurl, serve(t).address))
}

func runScenario(t *testing.T, call caller) {
	t.Helper()
	text, err := os.ReadFile("../scenario.json")
	if err != nil {
		t.Fatal(err)
	}
	var scenario struct{ Steps []step }
	if err := json.Unmarshal(text, &scenario); err != nil {
		t.Fatal(err)
	}
	if len(scenario.Steps) < 10 {
		t.Fatalf("the scenario has only %d steps", len(scenario.Steps))
	}
	run := make([]byte, 4)
	_, _ = rand.Read(run)
	saved := map[string]string{"run": fmt.Sprintf("%x", run)}
	for _, step := range scenario.Steps {
		if err := step.run(bounded(t), call, saved); err != nil {
			t.Fatalf("%s (%s): %v", step.Name, step.Call, err)
		}
	}
}

func (s step) run(ctx context.Context, call caller, saved map[string]string) error {
	request, err := json.Marshal(filled(s.Request, saved))
	if err != nil {
		return err
	}
	answer, failed, err := call(ctx, s.Call, request)
	switch {
	case err != nil:
		return err
	case s.Error == nil && failed != nil:
		return fmt.Errorf("failed with %+v", *failed)
	case s.Error != nil && failed == nil:
		return fmt.Errorf("answered %s instead of %+v", answer, *s.Error)
	case s.Error != nil:
		return s.Error.matches(*failed)
	}
	var found map[string]any
	if err := json.Unmarshal(answer, &found); err != nil {
		return fmt.Errorf("%w in %s", err, answer)
	}
	if s.Response != nil {
		if err := matches(filled(s.Response, saved), found, "response"); err != nil {
			return fmt.Errorf("%w\nin %s", err, answer)
		}
	}
	for name, key := range s.Save {
		saved[name] = fmt.Sprint(found[key])
	}
	return nil
}

// filled has the placeholders of all strings filled in.
func filled(value any, saved map[string]string) any {
	switch value := value.(type) {
	case string:
		for name, text := range saved {
			value = strings.ReplaceAll(value, "${"+name+"}", text)
		}
		return value
	case []any:
		all := make([]any, len(value))
		for i, item := range value {
			all[i] = filled(item, saved)
		}
		return all
	case map[string]any:
		all := make(map[string]any, len(value))
		for key, item := range value {
			all[key] = filled(item, saved)
		}
		return all
	}
	return value
}

// matches compares by what is wanted: objects by its keys, lists element by element, "*" with anything but empty.
func matches(wanted, found any, path string) error {
	switch wanted := wanted.(type) {
	case map[string]any:
		object, ok := found.(map[string]any)
		if !ok {
			return fmt.Errorf("%s: %v instead of an object", path, found)
		}
		for _, key := range slices.Sorted(maps.Keys(wanted)) {
			if err := matches(wanted[key], object[key], path+"."+key); err != nil {
				return err
			}
		}
		return nil
	case []any:
		list, ok := found.([]any)
		if !ok || len(list) != len(wanted) {
			return fmt.Errorf("%s: %v instead of %d elements", path, found, len(wanted))
		}
		for i := range wanted {
			if err := matches(wanted[i], list[i], fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		return nil
	}
	if wanted == "*" {
		if found == nil || found == "" {
			return fmt.Errorf("%s: empty", path)
		}
		return nil
	}
	if wanted != found {
		return fmt.Errorf("%s: %v instead of %v", path, found, wanted)
	}
	return nil
}

func (f failure) matches(found failure) error {
	missing := slices.ContainsFunc(f.Fields, func(field string) bool { return !slices.Contains(found.Fields, field) })
	if f.Code != found.Code || f.Reason != "" && f.Reason != found.Reason || missing {
		return fmt.Errorf("failed with %+v instead of %+v", found, f)
	}
	return nil
}

// codeName is the canonical name of a code: "NOT_FOUND".
func codeName(code codes.Code) string {
	for name := range strings.FieldsSeq(`OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS
		PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE
		DATA_LOSS UNAUTHENTICATED`) {
		var named codes.Code
		if named.UnmarshalJSON([]byte(`"`+name+`"`)) == nil && named == code {
			return name
		}
	}
	return code.String()
}

// descriptor is an RPC of the contract.
func descriptor(call string) (protoreflect.MethodDescriptor, error) {
	service := pb.File_iotoperations_secrets_v1_secret_service_proto.Services().ByName("SecretService")
	if method := service.Methods().ByName(protoreflect.Name(call)); method != nil {
		return method, nil
	}
	return nil, fmt.Errorf("no RPC %s", call)
}

// plain calls by descriptor, without any of this package.
func plain(conn *grpc.ClientConn) caller {
	return func(ctx context.Context, call string, text []byte) ([]byte, *failure, error) {
		method, err := descriptor(call)
		if err != nil {
			return nil, nil, err
		}
		request, answer := dynamicpb.NewMessage(method.Input()), dynamicpb.NewMessage(method.Output())
		if err := protojson.Unmarshal(text, request); err != nil {
			return nil, nil, err
		}
		path := fmt.Sprintf("/%s/%s", method.Parent().FullName(), method.Name())
		if err := conn.Invoke(ctx, path, request, answer); err != nil {
			return nil, failureOf(status.Convert(err)), nil
		}
		return marshalled(answer)
	}
}

func marshalled(message proto.Message) ([]byte, *failure, error) {
	text, err := protojson.Marshal(message)
	return text, nil, err
}

func failureOf(s *status.Status) *failure {
	failed := failure{Code: codeName(s.Code())}
	for _, detail := range s.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			failed.Reason = detail.GetReason()
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				failed.Fields = append(failed.Fields, violation.GetField())
			}
		}
	}
	return &failed
}

// layer calls through this package, and reads its errors.
func layer(client *secrets.Client) caller {
	return func(ctx context.Context, call string, text []byte) ([]byte, *failure, error) {
		answer, err := throughLayer(ctx, client, call, text)
		var failed *secrets.Error
		switch {
		case errors.As(err, &failed):
			found := failure{Code: codeName(failed.Code), Reason: string(failed.Reason)}
			for _, violation := range failed.Violations {
				found.Fields = append(found.Fields, violation.Field)
			}
			return nil, &found, nil
		case err != nil:
			return nil, nil, err
		}
		return marshalled(answer)
	}
}

// curl calls through grpcurl, which learns the contract by reflection.
func curl(grpcurl, address string) caller {
	return func(ctx context.Context, call string, request []byte) ([]byte, *failure, error) {
		var answer, errs bytes.Buffer
		method := "iotoperations.secrets.v1.SecretService/" + call
		command := exec.CommandContext(ctx, grpcurl, "-plaintext", "-format-error", "-d", "@", address, method)
		command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(spelledOut(request)), &answer, &errs
		if err := command.Run(); err == nil {
			return answer.Bytes(), nil, nil
		}
		var printed struct {
			Code    codes.Code
			Details []struct {
				Reason          string
				FieldViolations []struct{ Field string }
			}
		}
		if err := json.Unmarshal(errs.Bytes(), &printed); err != nil {
			return nil, nil, fmt.Errorf("grpcurl: %s", errs.Bytes())
		}
		failed := failure{Code: codeName(printed.Code)}
		for _, detail := range printed.Details {
			failed.Reason += detail.Reason
			for _, violation := range detail.FieldViolations {
				failed.Fields = append(failed.Fields, violation.Field)
			}
		}
		return nil, &failed, nil
	}
}

// capital is where a path of proto3 JSON has a new word.
var capital = regexp.MustCompile("[A-Z]")

// spelledOut writes a field mask as the message that it is, with the names of the contract: grpcurl doesn't know its short
// form of proto3 JSON.
func spelledOut(request []byte) []byte {
	var fields map[string]any
	if err := json.Unmarshal(request, &fields); err != nil {
		return request
	}
	if mask, ok := fields["updateMask"].(string); ok {
		mask = capital.ReplaceAllStringFunc(mask, func(letter string) string { return "_" + strings.ToLower(letter) })
		fields["updateMask"] = map[string]any{"paths": strings.Split(mask, ",")}
	}
	spelled, err := json.Marshal(fields)
	if err != nil {
		return request
	}
	return spelled
}

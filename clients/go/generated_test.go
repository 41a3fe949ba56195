package secrets_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestTheGeneratedCodeIsWhatTheContractSays(t *testing.T) {
	script, err := filepath.Abs("../../scripts/go-client")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(script), "../.cache/bin/buf")); err != nil {
		t.Skip("SKIPPED: buf is not installed; scripts/go-client tools installs it")
	}
	if printed, err := exec.Command(script, "current").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, printed)
	}
}

func TestTheReadmeAndTheDocumentationShowTheExampleThatRuns(t *testing.T) {
	code := read(t, "example_test.go")
	_, body, _ := strings.Cut(code, "func Example() {\n")
	body, _, found := strings.Cut(body, "\t// Output:")
	if !found {
		t.Fatal("the example has no output")
	}
	readme := read(t, "README.md")
	block := regexp.MustCompile("(?s)```go\n(.*?)```").FindStringSubmatch(readme)
	if block == nil || strings.TrimSpace(block[1]) != strings.TrimSpace(dedent(body)) {
		t.Errorf("README.md does not show the body of Example:\n%s", dedent(body))
	}
	doc := strings.ReplaceAll(read(t, "doc.go"), "//\t", "\t")
	for _, line := range strings.Split(doc, "\n") {
		if strings.HasPrefix(line, "\t") && !strings.Contains(body, strings.TrimSpace(line)) {
			t.Errorf("doc.go shows %q, which the example does not have", line)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func dedent(text string) string {
	return strings.ReplaceAll("\n"+text, "\n\t", "\n")
}

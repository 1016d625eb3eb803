package harness

import (
	"io"
	"os"
	"os/exec"
	"strings"
)

// tailBytes is how much of a log is worth reading in a test's output.
const tailBytes = 6000

func tail(s string) string {
	if len(s) > tailBytes {
		return "..." + s[len(s)-tailBytes:]
	}
	return s
}

func kernelLog() string {
	out, _ := exec.Command("dmesg").Output() // refused to some; then there is none
	return string(out)
}

// newKernelLog is what has come to the kernel's log since it was before. It is a ring:
// what was at its end may be anywhere now, or gone.
func newKernelLog(before, now string) string {
	before = strings.TrimSuffix(before, "\n")
	last := before[strings.LastIndexByte(before, '\n')+1:]
	if at := strings.LastIndex(now, last+"\n"); last != "" && at >= 0 {
		return now[at+len(last)+1:]
	}
	return now
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// fileFrom is what a file has from an offset on.
func fileFrom(path string, offset int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return ""
	}
	b, _ := io.ReadAll(io.LimitReader(f, maxOutput))
	return string(b)
}

package harness

import (
	"io"
	"os"
	"os/exec"
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

// Package check looks at a compute node before, or instead of, an agent: is there all that
// offloading needs, and is it set so that it can work? Each answer is a Line: what was found,
// what goes wrong because of it, and the commands that mend it.
//
// It changes nothing, loads nothing, and needs neither an agent nor root: what it may not look
// at is an Unknown line. Only Probe touches the kernel, at the port that it is given, and
// removes what it made.
package check

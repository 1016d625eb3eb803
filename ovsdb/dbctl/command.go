package dbctl

import (
	"fmt"
	"slices"
	"strings"
)

// Command is one kind of database command. Its functions keep what they have to in the Call.
type Command struct {
	Name     string
	Args     string // as in usage: "TABLE [RECORD]..."
	Min, Max int    // number of arguments; Max < 0 = any number
	Options  []Option
	// Mixed lets the options stand among the arguments as well, with their values after = or in the
	// next argument. No argument can begin with -- then.
	Mixed bool

	Short, Long string // what it is for; Long begins with what it does
	Example     string // "\n" between examples

	// Read asks for what Run will look at. It is called once.
	Read func(*Reading, *Call) error
	// Run writes to the call's Output or Table, and adds operations to the transaction. It is
	// called anew, with a new transaction, whenever the database has changed meanwhile.
	// ErrWait is that it is to be called again as soon as something that was read has changed.
	Run func(*Txn, *Call) error
	// Done, which may be nil, is called after the transaction was carried out.
	Done func(*Txn, *Call)
}

// Option is one that stands before a command's name, or a global one.
type Option struct {
	Name  string // without hyphens
	Short byte   // 0 = none; global ones only
	Value string // what its value is called; "" = it has none
	Help  string
}

// option returns an option by its full name; nil = there is none.
func (c *Command) option(name string) *Option {
	for i := range c.Options {
		if c.Options[i].Name == name {
			return &c.Options[i]
		}
	}
	return nil
}

// Call is a command of a batch with its arguments.
type Call struct {
	Command *Command
	Options map[string]string // those given; "" where there is no value
	Args    []string

	Output strings.Builder // what it prints: lines
	Table  *Listing        // or this

	State any // what Run leaves for Done
}

// Has reports whether an option was given.
func (c *Call) Has(option string) bool {
	_, ok := c.Options[option]
	return ok
}

// Listing is rows of columns.
type Listing struct {
	Columns []*Column
	Rows    [][]Datum
	Layout  Layout // where Format has none
	Style   Style  // where Format has none
}

// reset forgets what an earlier attempt has printed.
func (c *Call) reset() {
	c.Output.Reset()
	c.Table = nil
}

// words returns a call as it stood on the command line.
func (c *Call) words() string {
	var list []string
	for name, value := range c.Options {
		if value != "" {
			value = "=" + value
		}
		list = append(list, "--"+name+value)
	}
	slices.Sort(list)
	return strings.Join(slices.Concat(list, []string{c.Command.Name}, c.Args), " ")
}

// check returns an error for a number of arguments that is wrong.
func (c *Call) check() error {
	switch n := len(c.Args); {
	case n < c.Command.Min:
		return fmt.Errorf("%s takes at least %d arguments, not %d: %[1]s %[4]s", c.Command.Name, c.Command.Min, n, c.Command.Args)
	case c.Command.Max >= 0 && n > c.Command.Max:
		return fmt.Errorf("%s takes at most %d arguments, not %d (its options stand before its name, and if there are global ones behind --): %[1]s %[4]s",
			c.Command.Name, c.Command.Max, n, c.Command.Args)
	}
	return nil
}

package cli

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/flowshunt/flowshunt/ovsdb/dbctl"
	"github.com/flowshunt/flowshunt/pkg/policy"
)

// policyCommands are those about offload policies and decryption profiles.
func policyCommands() []*dbctl.Command {
	return []*dbctl.Command{addPolicyCommand(), policies.del(), listPoliciesCommand(),
		addProfileCommand(), profiles.del(), listProfilesCommand()}
}

// defaultPriority is that of ovs-ofctl add-flow.
const defaultPriority = "32768"

const columnsHelp = "The columns are those of docs/policy.md. A set is written a,b,c; its values need no quotation marks, but where\n" +
	"they have commas or spaces: 'tenants=\"a, b\"'. What cannot be understood is refused, and nothing is changed.\n" +
	"With --may-exist it is no error that there is one of this name, if it says the same."

func addPolicyCommand() *dbctl.Command {
	return &dbctl.Command{
		Name: "add-policy", Args: "NAME [PRIORITY] VERDICT [COLUMN=VALUE]...", Min: 2, Max: -1, Options: []dbctl.Option{mayExist},
		Short: "Add an offload policy",
		Long: "add-policy adds an offload policy. PRIORITY is from 0 to 65535, a higher one goes first, and " + defaultPriority + " is the\n" +
			"default, as for flows; the shipped policies are from 1000 to 4000. VERDICT is inspect, offload or drop. What follows\n" +
			"are its conditions, of which all have to hold, and its terms.\n" + columnsHelp,
		Example: "flowshuntctl add-policy backup-lan 3500 offload protocols=tcp dst_ports=873,2049,6800-7300 elephant_bytes=0\n" +
			"flowshuntctl add-policy no-bank 6000 inspect 'server_names=*.bank.example'\n" +
			"flowshuntctl --if-exists del-policy lab -- add-policy lab 100 offload dst_prefixes=10.9.0.0/16,2001:db8:9::/48",
		Read: policies.read, Run: addPolicy,
	}
}

func addPolicy(t *dbctl.Txn, c *dbctl.Call) error {
	priority, rest := defaultPriority, c.Args[1:]
	if _, err := strconv.Atoi(rest[0]); err == nil {
		priority, rest = rest[0], rest[1:]
	}
	if len(rest) == 0 || strings.Contains(rest[0], "=") {
		return errors.New("add-policy: the verdict is missing: add-policy " + c.Command.Args)
	}
	set := append([]string{"priority=" + priority, "verdict=" + rest[0]}, rest[1:]...)
	return policies.add(t, c, func(table *dbctl.Table, row *dbctl.Row) error {
		if err := assignWritable(t, table, row, set); err != nil {
			return err
		}
		_, err := policy.Parse(specOf(row, table))
		return err
	})
}

func addProfileCommand() *dbctl.Command {
	return &dbctl.Command{
		Name: "add-profile", Args: "NAME [COLUMN=VALUE]...", Min: 1, Max: -1, Options: []dbctl.Option{mayExist},
		Short:   "Add a decryption profile",
		Long:    "add-profile adds a decryption profile: what the firewall can look into. Without conditions that is everything.\n" + columnsHelp,
		Example: "flowshuntctl add-profile outbound dst_ports=443 'server_names=*.example.com'",
		Read:    profiles.read,
		Run: func(t *dbctl.Txn, c *dbctl.Call) error {
			return profiles.add(t, c, func(table *dbctl.Table, row *dbctl.Row) error {
				if err := assignWritable(t, table, row, c.Args[1:]); err != nil {
					return err
				}
				_, err := policy.ParseProfile(profileOf(row, table))
				return err
			})
		},
	}
}

// assignWritable is assign without the columns that an operator does not write.
func assignWritable(t *dbctl.Txn, table *dbctl.Table, row *dbctl.Row, set []string) error {
	name := text(row, table, "name")
	if err := assign(t, table, row, set); err != nil {
		return err
	}
	switch {
	case text(row, table, "name") != name:
		return errors.New("name: it has one already, the first argument")
	case text(row, table, "status") != "":
		return errors.New("status: it is the agents that write this column")
	}
	return nil
}

func listPoliciesCommand() *dbctl.Command {
	c := policies.list("list-policies", "Print the offload policies in the order in which they are asked",
		"prints the offload policies, as a table unless --format says otherwise. The first that matches decides. The\n"+
			"conditions and the terms are written as add-policy reads them; status is what the agents do not understand of it.",
		[]string{"priority", "name", "enabled", "verdict", "conditions", "terms", "status"}, policyLine)
	c.Example = "flowshuntctl list-policies\nflowshuntctl --format=csv --no-headings list-policies"
	return c
}

func policyLine(row *dbctl.Row, table *dbctl.Table) []string {
	s := specOf(row, table)
	return []string{strconv.Itoa(s.Priority), s.Name, enabled(row, table), cmp.Or(s.Verdict, "inspect"),
		summary(words(&s, conditions)), strings.Join(words(&s, terms), " "), text(row, table, "status")}
}

func listProfilesCommand() *dbctl.Command {
	return profiles.list("list-profiles", "Print the decryption profiles",
		"prints the decryption profiles, as a table unless --format says otherwise; see list-policies.",
		[]string{"name", "enabled", "conditions", "status"}, func(row *dbctl.Row, table *dbctl.Table) []string {
			s := specOf(row, table)
			return []string{s.Name, enabled(row, table), summary(words(&s, conditions)), text(row, table, "status")}
		})
}

// summary is what conditions say together.
func summary(conditions []string) string { return cmp.Or(strings.Join(conditions, " "), "any") }

// shippedCalls are the commands that add the shipped policies.
func shippedCalls() []*dbctl.Call {
	var calls []*dbctl.Call
	for _, s := range policy.Shipped() {
		args := slices.Concat([]string{s.Name, strconv.Itoa(s.Priority), s.Verdict}, words(&s, slices.Concat(conditions, terms)))
		calls = append(calls, &dbctl.Call{Command: addPolicyCommand(), Args: args})
	}
	return calls
}

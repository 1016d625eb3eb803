package ovn

import (
	"strings"

	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// outcome is what the actions of a flow in a stage of ACLs come to.
type outcome struct {
	next, drop bool
	allow      bool // the verdict of 23.06 and later
	commit     bool // to conntrack
	strange    bool // something that is not known here: the rest is no matter
}

// outcomeOf reads the actions of a flow. They are statements that end with ";", of which
// northd writes no others than these into the stages of ACLs (build_acls and consider_acl
// in northd/northd.c).
func outcomeOf(actions string) outcome {
	var o outcome
	for rest := actions; ; {
		var statement string
		var ok bool
		if statement, rest, ok = cutStatement(rest); !ok {
			o.strange = true
			return o
		}
		if statement == "" && rest == "" {
			break
		}
		o.add(statement)
	}
	// No action at all is to drop.
	o.drop = o.drop || !o.next && !o.commit
	return o
}

// neutral are assignments that decide nothing, because they are about what the commit is to
// remember of an ACL, about sampling, or about replies.
var neutral = map[string]bool{
	"reg0[13]": true, "reg0[17]": true, "reg0[20]": true, "reg0[21]": true,
	"reg2[16..31]": true, "reg3": true, "reg9": true,
	"reg8[0..7]": true, "reg8[8..15]": true, "reg8[19..20]": true,
}

// cleared are registers that are set to 0 where they are of no more use.
var cleared = map[string]bool{
	"reg0": true, "reg0[9]": true, "reg0[10]": true,
	"reg8[16]": true, "reg8[17]": true, "reg8[18]": true, "reg8[30..31]": true,
}

func (o *outcome) add(statement string) {
	name, value, assigned := strings.Cut(statement, " = ")
	switch {
	case statement == "" || strings.HasPrefix(statement, "log("):
	case statement == "next":
		o.next = true
	case statement == "drop", strings.HasPrefix(statement, "reject {"):
		o.drop = true
	case strings.HasPrefix(statement, "ct_commit"):
		o.commit = true
		o.drop = o.drop || strings.Contains(statement, ".blocked = 1")
	case statement == "reg0[1] = 1":
		o.commit = true
	case statement == "reg8[16] = 1":
		o.allow = true
	case statement == "reg8[17] = 1", statement == "reg8[18] = 1":
		o.drop = true
	case assigned && (value == "0" && cleared[name] || neutral[name] && isNumberText(value)):
	default:
		o.strange = true
	}
}

// action is what the flow's ACL does with a packet, and false if it does nothing: if it
// leaves that to another flow. Verdicts says that flows give a verdict for a later stage to
// carry out (23.06 and later), hinted that this one depends on conntrack.
func (o outcome) action(verdicts, hinted bool) (a secgroup.Action, ok bool) {
	switch {
	case o.strange:
		return secgroup.Unknown, true
	case o.drop:
		return secgroup.Drop, true
	case verdicts && !o.allow:
		return 0, false
	case hinted || o.commit:
		return secgroup.Allow, true
	}
	return secgroup.AllowStateless, true
}

// cutStatement returns the first statement, without its ";", comments and blanks around it.
// It is false if brackets or quotes are not closed.
func cutStatement(s string) (statement, rest string, ok bool) {
	var b strings.Builder
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case strings.HasPrefix(s[i:], "/*"):
			_, after, closed := strings.Cut(s[i+2:], "*/")
			if !closed {
				return "", "", false
			}
			i = len(s) - len(after) - 1
			continue
		case c == '"':
			n := quotedLen(s[i:])
			if n == 0 {
				return "", "", false
			}
			b.WriteString(s[i : i+n])
			i += n - 1
			continue
		case c == '{' || c == '(':
			depth++
		case c == '}' || c == ')':
			depth--
		case c == ';' && depth == 0:
			return strings.TrimSpace(b.String()), s[i+1:], true
		}
		b.WriteByte(s[i])
	}
	return strings.TrimSpace(b.String()), "", depth == 0
}

// quotedLen returns the length of the string in quotes that s starts with, or 0.
func quotedLen(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

func isNumberText(s string) bool {
	return s != "" && strings.Trim(s, "0123456789abcdefxABCDEF") == ""
}

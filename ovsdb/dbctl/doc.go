// Package dbctl is the generic database commands of ovs-vsctl(8), for any OVSDB database: one
// call is a batch of commands that is carried out as one transaction.
//
//	line, err := dbctl.ParseLine(args, globals, dbctl.Generic())
//	db, err := client.Dial(ctx, ...)
//	err = dbctl.Run(ctx, db, line.Calls, dbctl.Config{Names: dbctl.NamesOf("Open_vSwitch")})
//	err = dbctl.Print(os.Stdout, line.Calls, dbctl.Format{})
//
// # How a batch is carried out
//
// Every command says first which columns of which tables it reads (Command.Read). They are read
// in one transaction, so they belong together. Then the commands run in their order
// (Command.Run): they look rows up, write their output and add operations to a Txn, which
// shows them the rows as earlier commands of the batch have left them. What a command has relied on
// (that a name stands for a row, values that it has printed) is verified by wait operations
// in the transaction that writes; if it has changed meanwhile, all is begun anew. At last
// Command.Done sees what the server has made of it. Nothing is printed before that.
//
// The commands of Generic are one list; others of the same type, with operations of their
// own, can stand beside them in a batch.
//
// # What is not as in ovs-vsctl
//
// The rows of list and find are ordered by their names where they have such, then by uuid; those of ovs-vsctl have no
// order that could be relied on. Texts of errors differ. A command that reads, but changes nothing, sends no transaction.
//
// The package decides nothing about connections: what it needs of one is Database.
package dbctl

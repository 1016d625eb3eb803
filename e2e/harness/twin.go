package harness

// Twin adds a virtual machine to a bridge that has the MAC and the addresses of
// another one, as the machine of another tenant may.
func (w *World) Twin(bridge, name string, of *VM) *VM {
	w.T.Helper()
	ns, err := addNamespace(name)
	if err != nil {
		w.T.Fatal(err)
	}
	vm := &VM{Namespace: ns, Name: name, Rep: "rep-" + name, MAC: of.MAC, IP4: of.IP4, IP6: of.IP6}
	w.vms = append(w.vms, vm)
	w.cable(vm, "")
	w.Attach(bridge, vm)
	return vm
}

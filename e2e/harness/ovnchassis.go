package harness

// AddHost adds another host to the network service, which nobody runs: its row says
// that it can do what Host can.
func (o *OVN) AddHost(name string) {
	o.w.T.Helper()
	o.Sbctl("chassis-add", name, "geneve", "192.0.2.2",
		"--", "set", "chassis", name, "hostname="+name,
		"other_config:ct-no-masked-label=true", "other_config:ovn-ct-lb-related=true", "other_config:mac-binding-timestamp=true", "other_config:port-up-notif=true")
	o.Sync()
}

// AddOldHost is AddHost of one that cannot mask marks: from then on OVN denies
// connections everywhere by a bit of the label.
func (o *OVN) AddOldHost(name string) {
	o.w.T.Helper()
	o.Sbctl("chassis-add", name, "geneve", "192.0.2.3", "--", "set", "chassis", name, "hostname="+name)
	o.Sync()
}

// RemoveHost removes a host that was added.
func (o *OVN) RemoveHost(name string) {
	o.w.T.Helper()
	o.Sbctl("chassis-del", name)
	o.Sync()
}

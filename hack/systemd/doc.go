// Package systemd holds the units of flowshuntd and of the policy database, what goes with them, and the tests
// of these:
//
//	flowshuntd.service        /lib/systemd/system/
//	flowshunt-db.service, .path  /lib/systemd/system/, both enabled
//	sysctl.d/60-flowshunt.conf  /usr/lib/sysctl.d/
//	modules-load.d/flowshunt.conf  /usr/lib/modules-load.d/
package systemd

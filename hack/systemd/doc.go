// Package systemd holds the unit of flowshuntd and what goes with it, and the tests
// of these:
//
//	flowshuntd.service        /lib/systemd/system/
//	sysctl.d/60-flowshunt.conf  /usr/lib/sysctl.d/
//	modules-load.d/flowshunt.conf  /usr/lib/modules-load.d/
package systemd

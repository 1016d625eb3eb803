// Package representor says which network devices stand for functions and connectors of
// a NIC's eswitch, and for which (Documentation/networking/representors.rst), from what
// pkg/link, pkg/devlink and sysfs tell. It reads and changes nothing itself, but for
// the links of PCI functions in sysfs.
package representor

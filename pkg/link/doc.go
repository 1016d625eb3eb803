// Package link follows the state of network devices: which exist, and whether
// they are administratively up and have carrier. It keeps a level-triggered
// snapshot; notifications only say that it is worth a look. It changes nothing.
package link

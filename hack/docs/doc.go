// Package docs holds the test that keeps pages written by hand true: commands,
// flags, make targets and links that they name must exist.
package docs

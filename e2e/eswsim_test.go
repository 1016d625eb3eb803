package e2e

import (
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// The stories of other files once more, where the machines' ports are representors of
// a NIC and the agent runs with --hardware=skip-sw: the host forwards nothing of what
// is offloaded, and onlooker looks whether it sees any of it. Which of the two is told
// without FLOWSHUNT_SLOW is said by betterOnEswsim in the story, or slowly here.

// onEswsim tells a story on eswsim.
func onEswsim(t *testing.T, story func(*testing.T)) {
	t.Helper()
	harness.OnEswsim(t)
	story(t)
}

func TestElephantEswsim(t *testing.T)         { onEswsim(t, TestElephant) }
func TestEndEswsim(t *testing.T)              { onEswsim(t, TestEnd) }
func TestEndAfterWrapEswsim(t *testing.T)     { slowly(t); onEswsim(t, TestEndAfterWrap) }
func TestOlderThanAgentEswsim(t *testing.T)   { slowly(t); onEswsim(t, TestOlderThanAgent) }
func TestAgentRestartEswsim(t *testing.T)     { onEswsim(t, TestAgentRestart) }
func TestUDPKeepAliveEswsim(t *testing.T)     { slowly(t); onEswsim(t, TestUDPKeepAlive) }
func TestFamiliesEswsim(t *testing.T)         { onEswsim(t, TestFamilies) }
func TestManyConnectionsEswsim(t *testing.T)  { slowly(t); onEswsim(t, TestManyConnections) }
func TestKilledAndFlushedEswsim(t *testing.T) { onEswsim(t, TestKilledAndFlushed) }
func TestDriftEswsim(t *testing.T)            { slowly(t); onEswsim(t, TestDrift) }
func TestPortsEswsim(t *testing.T)            { onEswsim(t, TestPorts) }
func TestAdoptKilledEswsim(t *testing.T)      { onEswsim(t, TestAdoptKilled) }
func TestAdoptKeepEswsim(t *testing.T)        { slowly(t); onEswsim(t, TestAdoptKeep) }
func TestRulesVanishEswsim(t *testing.T)      { onEswsim(t, TestRulesVanish) }
func TestOVSRestartsEswsim(t *testing.T)      { onEswsim(t, TestOVSRestarts) }
func TestRestartMatrixEswsim(t *testing.T)    { slowly(t); onEswsim(t, TestRestartMatrix) }
func TestTenantsEswsim(t *testing.T)          { slowly(t); onEswsim(t, TestTenants) }
func TestPatchPortsEswsim(t *testing.T)       { slowly(t); onEswsim(t, TestPatchPorts) }
func TestOVNRevokeEswsim(t *testing.T)        { onEswsim(t, TestOVNRevoke) }

func TestGeneveEswsim(t *testing.T)     { onEswsim(t, TestGeneve) }
func TestVXLANEswsim(t *testing.T)      { slowly(t); onEswsim(t, TestVXLAN) }
func TestGeneveIPv6Eswsim(t *testing.T) { slowly(t); onEswsim(t, TestGeneveIPv6) }
func TestRoutedEswsim(t *testing.T)     { slowly(t); onEswsim(t, TestRouted) }
func TestVLANEswsim(t *testing.T)       { slowly(t); onEswsim(t, TestVLAN) }
func TestQinQEswsim(t *testing.T)       { slowly(t); onEswsim(t, TestQinQ) }
func TestFloatingIPEswsim(t *testing.T) { slowly(t); onEswsim(t, TestFloatingIP) }
func TestSNATEswsim(t *testing.T)       { slowly(t); onEswsim(t, TestSNAT) }
func TestBondEswsim(t *testing.T)       { slowly(t); onEswsim(t, TestBond) }

func TestObserveEswsim(t *testing.T)             { slowly(t); onEswsim(t, TestObserve) }
func TestUDPWithoutKeepAliveEswsim(t *testing.T) { slowly(t); onEswsim(t, TestUDPWithoutKeepAlive) }
func TestESPEswsim(t *testing.T)                 { slowly(t); onEswsim(t, TestESP) }
func TestMarkOffloadEswsim(t *testing.T)         { slowly(t); onEswsim(t, TestMarkOffload) }
func TestMarkNeverEswsim(t *testing.T)           { slowly(t); onEswsim(t, TestMarkNever) }
func TestMarkBlockedEswsim(t *testing.T)         { slowly(t); onEswsim(t, TestMarkBlocked) }
func TestKeepOnExitEswsim(t *testing.T)          { slowly(t); onEswsim(t, TestKeepOnExit) }
func TestCtlEswsim(t *testing.T)                 { slowly(t); onEswsim(t, TestCtl) }
func TestStartErrorsEswsim(t *testing.T)         { slowly(t); onEswsim(t, TestStartErrors) }
func TestConntrackWeatherEswsim(t *testing.T)    { slowly(t); onEswsim(t, TestConntrackWeather) }
func TestGroupsUnknownEswsim(t *testing.T)       { slowly(t); onEswsim(t, TestGroupsUnknown) }
func TestPortsMoveEswsim(t *testing.T)           { slowly(t); onEswsim(t, TestPortsMove) }
func TestPolicingEswsim(t *testing.T)            { slowly(t); onEswsim(t, TestPolicing) }
func TestMACAgeingEswsim(t *testing.T)           { slowly(t); onEswsim(t, TestMACAgeing) }
func TestUnsupportedPathsEswsim(t *testing.T)    { slowly(t); onEswsim(t, TestUnsupportedPaths) }
func TestBusyBridgeEswsim(t *testing.T)          { slowly(t); onEswsim(t, TestBusyBridge) }
func TestOVNChangesEswsim(t *testing.T)          { slowly(t); onEswsim(t, TestOVNChanges) }
func TestOVNRevokeTimesEswsim(t *testing.T)      { slowly(t); onEswsim(t, TestOVNRevokeTimes) }

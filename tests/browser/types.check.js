// Never run: the type checker reads it. The SDK's agent and the stand-in both fit the dialer, and the check bites.
import { createEmergencyDialer } from "./emergency-dialer.js";
import { RINGS_AND_CONNECTS, StandInAgent } from "./stand-in-agent.js";

/** @param {import("@azure/communication-calling").CallAgent} sdk */
export const theSdkFits = (sdk) => createEmergencyDialer({ api: "", callAgent: sdk });

export const theStandInFits = () => createEmergencyDialer({ api: "", callAgent: new StandInAgent(RINGS_AND_CONNECTS) });

/** @param {import("@azure/communication-calling").Call} call */
export function theCheckBites(call) {
  // @ts-expect-error the SDK declares no message, though it is there at run time
  void call.callEndReason?.message;
  // @ts-expect-error there is no such state
  void (call.state === "Reconnecting");
  // @ts-expect-error only Teams calls say so
  void call.isEmergencyCall;
  // @ts-expect-error an agent without calls is none
  createEmergencyDialer({ api: "", callAgent: { startCall: () => call } });
}

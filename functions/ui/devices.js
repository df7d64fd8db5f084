// Microphones and speakers, through whatever knows them: the calling SDK, the page around a frame, or the browser.

/** The SDK's device manager. */
export function sdkDevices(manager) {
  return {
    async list() {
      const [microphones, speakers] = await Promise.all([manager.getMicrophones(), manager.isSpeakerSelectionAvailable === false ? [] : manager.getSpeakers()]);
      const plain = (devices) => devices.map(({ id, name }) => ({ id, name }));
      return {
        microphones: plain(microphones),
        speakers: plain(speakers),
        selected: { microphone: manager.selectedMicrophone?.id, speaker: manager.selectedSpeaker?.id },
      };
    },
    async select(kind, id) {
      const devices = kind === "microphone" ? await manager.getMicrophones() : await manager.getSpeakers();
      const device = devices.find((each) => each.id === id);
      if (!device) throw new Error("it is gone");
      await (kind === "microphone" ? manager.selectMicrophone(device) : manager.selectSpeaker(device));
    },
    watch(changed) {
      manager.on?.("audioDevicesUpdated", changed);
      return () => manager.off?.("audioDevicesUpdated", changed);
    },
  };
}

/**
 * The browser's own list. `alone`: no softphone shares this page, so that it may ask for the microphone and try what is
 * chosen; beside the calling SDK that could take the microphone away from a call.
 */
export function browserDevices({ alone = false } = {}) {
  const selected = { microphone: undefined, speaker: undefined };
  const media = navigator.mediaDevices;
  let asked = false;

  async function found() {
    const devices = (await media?.enumerateDevices()) ?? [];
    const unnamed = devices.some((each) => each.kind === "audioinput" && !each.deviceId);
    if (!alone || !unnamed || asked) return devices;
    asked = true;
    await tryMicrophone(true).catch(() => {});
    return media.enumerateDevices();
  }

  async function tryMicrophone(audio) {
    const stream = await media.getUserMedia({ audio });
    stream.getTracks().forEach((track) => track.stop());
  }

  async function trySpeaker(sinkId) {
    const context = new AudioContext({ sinkId });
    const tone = new OscillatorNode(context, { frequency: 440 });
    tone.connect(new GainNode(context, { gain: 0.1 })).connect(context.destination);
    tone.start();
    tone.stop(context.currentTime + 0.3);
    tone.addEventListener("ended", () => void context.close());
  }

  return {
    async list() {
      const devices = await found();
      const of = (kind) => devices.filter((each) => each.kind === kind && each.deviceId).map(({ deviceId, label }) => ({ id: deviceId, name: label || deviceId }));
      const [microphones, speakers] = [of("audioinput"), of("audiooutput")];
      return {
        microphones,
        speakers,
        selected: { microphone: selected.microphone ?? microphones[0]?.id, speaker: selected.speaker ?? speakers[0]?.id },
      };
    },
    async select(kind, id) {
      const { microphones, speakers } = await this.list();
      if (!(kind === "microphone" ? microphones : speakers).some((each) => each.id === id)) throw new Error("it is gone");
      if (alone) await (kind === "microphone" ? tryMicrophone({ deviceId: { exact: id } }) : trySpeaker(id));
      selected[kind] = id;
    },
    watch(changed) {
      media?.addEventListener("devicechange", changed);
      return () => media?.removeEventListener("devicechange", changed);
    },
  };
}

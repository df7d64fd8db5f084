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

/** The browser's own list, for a panel that stands alone: what is chosen is kept by the page that asks for it. */
export function browserDevices() {
  const selected = { microphone: undefined, speaker: undefined };
  const media = navigator.mediaDevices;
  return {
    async list() {
      const devices = (await media?.enumerateDevices()) ?? [];
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
      selected[kind] = id;
    },
    watch(changed) {
      media?.addEventListener("devicechange", changed);
      return () => media?.removeEventListener("devicechange", changed);
    },
  };
}

// Values that come with their labels.
export default {
  key: "suite-labels",
  name: "Labels",
  version: "0.0.1",
  type: "action",
  props: {
    plain: { type: "string" },
    labelled: { type: "string", withLabel: true },
    several: { type: "string[]" },
  },
  async run() {
    return [this.plain, this.labelled, this.several];
  },
};

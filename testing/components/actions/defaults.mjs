// Defaults fill what is not configured, and are each run's own.
export default {
  key: "suite-defaults",
  name: "Defaults",
  version: "0.0.1",
  type: "action",
  props: {
    text: { type: "string", default: "usual" },
    list: { type: "string[]", default: ["a"] },
    none: { type: "string", optional: true },
    note: { type: "alert", alertType: "info", content: "Nothing to fill in." },
  },
  async run() {
    this.list.push("b");
    return { text: this.text, list: this.list, none: this.none === undefined, note: this.note === undefined };
  },
};

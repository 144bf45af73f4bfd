// Every type of value, as it is configured.
export default {
  key: "suite-all-types",
  name: "All types",
  version: "0.0.1",
  type: "action",
  props: {
    text: { type: "string" },
    texts: { type: "string[]" },
    number: { type: "integer", min: 1, max: 9 },
    numbers: { type: "integer[]" },
    flag: { type: "boolean" },
    flags: { type: "boolean[]", optional: true },
    record: { type: "object" },
    anything: { type: "any" },
  },
  async run() {
    const { text, texts, number, numbers, flag, flags, record, anything } = this;
    return { text, texts, number, numbers, flag, hasFlags: flags !== undefined, record, anything };
  },
};

// Props that depend on the value of another.
export default {
  key: "suite-reload",
  name: "Additional props",
  version: "0.0.1",
  type: "action",
  props: {
    fields: { type: "string[]", label: "Fields", reloadProps: true },
    hint: { type: "string", label: "Hint", optional: true },
  },
  async additionalProps(previous) {
    previous.hint.hidden = true;
    const all = {};
    for (const name of this.fields ?? []) {
      all[name] = { type: "string", label: `Value of ${name}`, options: async () => [`${name} 1`, `${name} 2`] };
    }
    return all;
  },
  async run() {
    return Object.fromEntries(this.fields.map((name) => [name, this[name]]));
  },
};

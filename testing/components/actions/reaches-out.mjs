// Another host than those of its app.
export default {
  key: "suite-reaches-out",
  name: "Reaches out",
  version: "0.0.1",
  type: "action",
  props: { url: { type: "string" } },
  async run() {
    return (await fetch(this.url)).status;
  },
};

// What a run gives beside its result, and what it prints.
export default {
  key: "suite-exports",
  name: "Exports",
  description: "Says what it has done",
  version: "0.0.1",
  type: "action",
  annotations: { readOnlyHint: true, destructiveHint: false },
  props: {},
  async run({ $, steps }) {
    console.log("on its way");
    console.error("with a warning");
    $.export("$summary", "Did it");
    $.export("rows", [1, 2]);
    return { steps: Object.keys(steps), key: $.context.component_key };
  },
};

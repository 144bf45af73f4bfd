// Props and methods of another file, one of them overridden.
import common from "./common/base.mjs";

export default {
  ...common,
  key: "suite-spread",
  name: "Spread",
  version: "0.0.1",
  type: "action",
  methods: {
    ...common.methods,
    path() {
      return "/own";
    },
  },
  async run() {
    return (await this.where()).path;
  },
};

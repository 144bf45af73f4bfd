// The rest of the platform.
import * as platform from "@pipedream/platform";

export default {
  key: "suite-platform",
  name: "Platform",
  version: "0.0.1",
  type: "action",
  props: {},
  async run() {
    const ring = { big: 1n, at: new Date(0) };
    ring.self = ring;
    return {
      names: Object.keys(platform).filter((name) => name !== "default" && name !== "module.exports").sort(),
      interval: platform.DEFAULT_POLLING_SOURCE_TIMER_INTERVAL,
      text: platform.jsonStringifySafe(ring),
      clone: platform.cloneSafe({ list: [ring], none: undefined }),
      error: new platform.ConfigurationError("x").name,
      same: [defineComponent, defineApp, defineAction, defineSource].every((define) => define(ring) === ring),
    };
  },
};

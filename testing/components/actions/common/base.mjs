import echo from "../../echo.app.mjs";

export default {
  props: { echo },
  methods: {
    path() {
      return "/common";
    },
    where() {
      return this.echo.call({ path: this.path() });
    },
  },
};

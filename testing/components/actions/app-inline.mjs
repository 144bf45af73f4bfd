// An app that is named where it is used, and Node's own fetch.
export default {
  key: "suite-app-inline",
  name: "Inline app",
  version: "0.0.1",
  type: "action",
  props: { echo: { type: "app", app: "echo_app" } },
  async run() {
    const { region, api_key: key } = this.echo.$auth;
    const answer = await fetch(`${region}/base/inline`, { headers: { "x-api-key": key } });
    return [answer.status, (await answer.json()).path];
  },
};

export default async ({ event, $ }) => {
  const body = { ok: true, n: event.body.n };
  await $.respond({ status: 200, body });
  return body;
};

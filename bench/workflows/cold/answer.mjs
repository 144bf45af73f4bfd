export default async ({ event }) => ({ ok: true, n: event.body.n });

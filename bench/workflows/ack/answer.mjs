export default async ({ event }) => {
  // Holds a worker, so that acknowledgements can be measured while no step runs.
  if (event.body.hold_ms) await new Promise((resolve) => setTimeout(resolve, event.body.hold_ms));
  return { ok: true, n: event.body.n };
};

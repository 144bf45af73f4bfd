import { calls } from './calls.mjs';

export default async ({ event, steps, $ }) => {
  const { url, seconds, ca, key } = event.body;
  const tunnelled = await calls({ url, seconds, headers: { 'x-api-key': key }, ca });
  const body = { brokered: steps.brokered, tunnelled };
  await $.respond({ status: 200, body });
  return body;
};

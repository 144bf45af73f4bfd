import { calls } from './calls.mjs';

export default async ({ event, connections }) => {
  const { url, seconds } = event.body;
  return calls({ url, seconds, headers: { 'x-api-key': connections.app.$auth.api_key } });
};

import https from 'node:https';

const CONNECTIONS = 16;

/** Calls `url` for some seconds over connections that are kept; each waits for its answer. */
export async function calls({ url, seconds, headers, ca }) {
  const agent = new https.Agent({ keepAlive: true, maxSockets: CONNECTIONS, ...(ca && { ca }) });
  const one = () => new Promise((resolve, reject) => {
    const request = https.get(url, { agent, headers }, (answer) => {
      if (answer.statusCode !== 200) reject(new Error(`the app answers ${answer.statusCode}`));
      answer.resume().on('end', resolve).on('error', reject);
    });
    request.on('error', reject);
  });
  await Promise.all(Array.from({ length: CONNECTIONS }, one));
  const times = [];
  const begin = performance.now();
  const end = begin + seconds * 1000;
  const caller = async () => {
    for (let now = performance.now(); now < end; now = performance.now()) {
      await one();
      times.push(performance.now() - now);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, caller));
  const took = (performance.now() - begin) / 1000;
  agent.destroy();
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.floor(share * (times.length - 1))];
  return { per_second: times.length / took, p50_ms: at(0.5), p99_ms: at(0.99) };
}

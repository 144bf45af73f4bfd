const BASE = "http://127.0.0.1:8401";

/** Calls the CRM with the connection; null where it answers 404. */
export async function crm({ $auth }, path, options = {}) {
  const response = await fetch(`${BASE}${path}`, {
    ...options,
    headers: { ...options.headers, authorization: `Bearer ${$auth.oauth_access_token}` },
  });
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(`the CRM answered ${response.status}: ${await response.text()}`);
  return response.json();
}

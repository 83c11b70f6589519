// k6/http's asyncRequest, on node's fetch. Like it, an answer that never came has the status 0.

export const requests = [];

async function asyncRequest(method, url, body, parameters) {
  if (process.env.RECORD) {
    requests.push({ method, url, body });
  }
  try {
    const answer = await fetch(url, { method, body, headers: parameters.headers });
    const text = await answer.text();
    const headers = {};
    for (const [name, value] of answer.headers) {
      headers[name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase())] = value;
    }
    return { status: answer.status, headers, json: () => JSON.parse(text) };
  } catch (error) {
    return { status: 0, error: String(error), headers: {} };
  }
}

export default { asyncRequest };

"use strict";
// Where networks compute: in a worker, so that the page stays quick; in the page where there is none.

const GAN_PATIENCE_MS = 8000; // for a worker to say that it is ready

/** The body of the worker. */
function ganWorkerMain() {
  const networks = {};
  self.onmessage = ({ data }) => {
    if (data.stored) {
      for (const [name, stored] of Object.entries(data.stored)) {
        networks[name] = ganPrepare(stored);
      }
      self.postMessage({ ready: true });
      return;
    }
    const start = performance.now();
    const values = ganForward(networks[data.network], data.inputs, data.labels);
    const ms = performance.now() - start;
    self.postMessage({ id: data.id, values, ms }, [values.buffer]);
  };
}

/** A worker with the networks, or null if none starts. */
function ganStartWorker(stored) {
  return new Promise((resolve) => {
    let worker = null;
    const end = (result) => {
      clearTimeout(timer);
      if (!result && worker) worker.terminate();
      resolve(result);
    };
    const timer = setTimeout(() => end(null), GAN_PATIENCE_MS);
    try {
      const source = [...GAN_NUMBERS, ganWorkerMain].map(String).join("\n");
      const text = `"use strict";\n${source}\nganWorkerMain();`;
      const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
      worker = new Worker(address);
      worker.onmessage = () => end(worker);
      worker.onerror = (event) => {
        event.preventDefault();
        end(null);
      };
      worker.postMessage({ stored });
    } catch {
      end(null);
    }
  });
}

/**
 * Something to ask for the outputs of networks.
 *
 * stored: networks of the payload by name. Gives `{place, ask(name, inputs, labels)}`; `ask`
 * promises `{values, ms}`.
 */
async function ganEngine(stored) {
  const worker = await ganStartWorker(stored);
  if (!worker) return ganEngineHere(stored);
  const waiting = new Map();
  let last = 0;
  worker.onmessage = ({ data }) => {
    waiting.get(data.id)(data);
    waiting.delete(data.id);
  };
  const ask = (network, inputs, labels) =>
    new Promise((resolve) => {
      waiting.set(++last, resolve);
      worker.postMessage({ id: last, network, inputs, labels });
    });
  return { place: "in a worker", ask };
}

/** The same in the page itself, between two of its frames. */
function ganEngineHere(stored) {
  const networks = {};
  for (const [name, network] of Object.entries(stored)) networks[name] = ganPrepare(network);
  const ask = (network, inputs, labels) =>
    new Promise((resolve) => {
      setTimeout(() => {
        const start = performance.now();
        const values = ganForward(networks[network], inputs, labels);
        resolve({ values, ms: performance.now() - start });
      }, 0);
    });
  return { place: "in the page", ask };
}

/** `work` for the newest arguments only: what came while it was busy, but for the last, is left. */
function ganNewest(work) {
  let next = null;
  let busy = false;
  return async (...args) => {
    next = args;
    if (busy) return;
    busy = true;
    try {
      while (next) {
        const now = next;
        next = null;
        await work(...now);
      }
    } finally {
      busy = false;
    }
  };
}

/** Hold samples against PyTorch's and take the time: {difference, perSecond}. */
async function ganMeasure(payload, engine) {
  const { z, labels, x } = payload.check;
  const { values } = await engine.ask("generator", Float32Array.from(z), labels);
  let most = 0, low = Infinity, high = -Infinity;
  x.forEach((value, i) => {
    most = Math.max(most, Math.abs(value - values[i]));
    low = Math.min(low, value);
    high = Math.max(high, value);
  });
  if (payload.range) [low, high] = payload.range;
  // A number that is none must not pass for exact.
  const finite = values.every(Number.isFinite) && values.length === x.length;
  const difference = finite ? most / Math.max(high - low, 1e-12) : Infinity;
  return { difference, perSecond: await ganSpeed(payload, engine) };
}

/** Samples in a second, measured for a fifth of one. */
async function ganSpeed(payload, engine) {
  const label = payload.classes.length ? 0 : null;
  let made = 0, ms = 0;
  for (let n = 1; ms < 200 && made < 20000; n = Math.min(2 * n, 1024)) {
    const labels = label === null ? null : new Array(n).fill(label);
    ms += (await engine.ask("generator", ganDraw(payload.noise, 0, 0, n), labels)).ms;
    made += n;
  }
  return (1000 * made) / Math.max(ms, 0.1);
}

// A client of the official SDK for tests/it/mcp.rs: starts the server that its arguments name,
// does what stands on its stdin, a JSON object on each line, and answers each with a line.
//
//   {"do": "tools"}                                    what tools there are
//   {"do": "call", "name": ..., "arguments": ...}      their answer; "progress": true counts notifications,
//                                                      "cancel": true cancels it at the first of them,
//                                                      "told": true says so at the first of them
//   {"do": "close"}                                    ends the server in an orderly way
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [sdk, command, ...args] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(`${sdk}/dist/esm/${file}`).href);
const { Client } = await load("client/index.js");
const { StdioClientTransport } = await load("client/stdio.js");

const transport = new StdioClientTransport({ command, args, env: process.env, stderr: "inherit" });
const client = new Client({ name: "talk", version: "0" });
await client.connect(transport);
console.log(JSON.stringify({ server: client.getServerVersion(), instructions: client.getInstructions() }));

for await (const line of createInterface({ input: process.stdin })) {
  const wanted = JSON.parse(line);
  let said;
  try {
    if (wanted.do === "tools") {
      said = (await client.listTools()).tools;
    } else if (wanted.do === "close") {
      await client.close();
      said = "closed";
    } else {
      const cancel = new AbortController();
      let progress = [];
      const options = { signal: cancel.signal, timeout: 600_000 };
      if (wanted.progress || wanted.cancel || wanted.told) {
        options.onprogress = (one) => {
          progress.push(one.message);
          if (wanted.cancel) cancel.abort("enough");
          if (wanted.told && progress.length === 1) console.log(JSON.stringify("told"));
        };
      }
      const { name, arguments: given } = wanted;
      const result = await client.callTool({ name, arguments: given }, undefined, options);
      const text = result.content.map((part) => part.text).join("");
      said = { text, error: result.isError === true, progress };
    }
  } catch (error) {
    said = { failed: String(error.message ?? error) };
  }
  console.log(JSON.stringify(said));
}

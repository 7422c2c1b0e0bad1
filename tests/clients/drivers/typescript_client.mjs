// The client of the TypeScript SDK, driven by lines of JSON. As `fastmcp_client.py` otherwise.

import { createInterface } from "node:readline";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";

const where = JSON.parse(process.argv[2]);
const transport = where.url
  ? new StreamableHTTPClientTransport(new URL(where.url))
  : new StdioClientTransport({ command: where.command[0], args: where.command.slice(1), env: where.env });
const client = new Client({ name: "typescript", version: "1" }, { capabilities: where.forms ? { elicitation: {} } : {} });
if (where.forms) {
  client.setRequestHandler(ElicitRequestSchema, async () => ({
    action: "accept",
    content: { decision: "approve" },
  }));
}

async function answer(asked) {
  if (asked.list) return (await client.listTools()).tools.map((tool) => tool.name).sort();
  const result = await client.callTool({ name: asked.tool, arguments: asked.arguments });
  return { texts: result.content.map((block) => block.text), error: result.isError === true };
}

await client.connect(transport);
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(JSON.parse(line))));
}
await client.close();

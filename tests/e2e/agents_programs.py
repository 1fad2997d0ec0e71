"""Programs as a user of each library would write them: they have a tool, ask about two cities, and print the last word.

They run outside of the project's environment, each beside its own library: ADDRESS and MODEL come from the environment.
"""

from __future__ import annotations

CITIES = ("Oslo", "Rome")
PREFERENCES = {
    "allow_fallbacks": True,
    "data_collection": "allow",
    "enforce_distillable_text": False,
    "ignore": ["groq"],
    "max_price": {"prompt": "100", "completion": "400"},
    "only": ["anthropic", "google-ai-studio", "openai"],
    "order": ["anthropic", "google-ai-studio"],
    "preferred_max_latency": 30,
    "preferred_min_throughput": 1,
    "quantizations": ["unknown", "fp8", "bf16"],
    "require_parameters": True,
    "sort": "price",
    "zdr": False,
}
"""Every preference that OpenRouter's SDK has a field for, but `options`, which is for one vendor's own parameters."""

LANGCHAIN = """
import os
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

@tool
def get_weather(city: str) -> str:
    "The weather in a city."
    return f"7 degrees in {city}"

model = ChatOpenAI(
    model=os.environ["MODEL"], base_url=os.environ["ADDRESS"] + "/v1", api_key=os.environ["KEY"], max_retries=0,
    use_responses_api=os.environ["API"] == "responses", streaming=os.environ["API"] == "chat", stream_usage=True,
    reasoning_effort="low",
).bind_tools([get_weather])
said = [HumanMessage("How is the weather in Oslo and Rome?")]
while (last := model.invoke(said)).tool_calls:
    said.append(last)
    for call in last.tool_calls:
        said.append(ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"]))
assert last.usage_metadata["input_tokens"] == 120, last.usage_metadata
print(last.text)
"""

PYDANTIC = """
import asyncio, os
from pydantic_ai import Agent

address, key, name = os.environ["ADDRESS"], os.environ["KEY"], os.environ["MODEL"]
match os.environ["API"]:
    case "chat":
        from pydantic_ai.models.openai import OpenAIChatModel as Model
        from pydantic_ai.providers.openai import OpenAIProvider
        provider = OpenAIProvider(base_url=address + "/v1", api_key=key)
    case "responses":
        from pydantic_ai.models.openai import OpenAIResponsesModel as Model
        from pydantic_ai.providers.openai import OpenAIProvider
        provider = OpenAIProvider(base_url=address + "/v1", api_key=key)
    case "messages":
        from anthropic import AsyncAnthropic
        from pydantic_ai.models.anthropic import AnthropicModel as Model
        from pydantic_ai.providers.anthropic import AnthropicProvider
        provider = AnthropicProvider(anthropic_client=AsyncAnthropic(base_url=address, api_key=key, max_retries=0))
    case "gemini":
        from pydantic_ai.models.google import GoogleModel as Model
        from pydantic_ai.providers.google import GoogleProvider
        provider = GoogleProvider(base_url=address, api_key=key)
agent = Agent(Model(name, provider=provider), instructions="Use the tool.", model_settings={"max_tokens": 4000})

@agent.tool_plain
def get_weather(city: str) -> str:
    "The weather in a city."
    return f"7 degrees in {city}"

async def streamed(context, events):
    async for _ in events:
        pass

async def main():
    for handler in (None, streamed):
        run = await agent.run("How is the weather in Oslo and Rome?", event_stream_handler=handler)
        assert run.usage.input_tokens == 360, run.usage
    print(run.output)

asyncio.run(main())
"""

AI_SDK = """
import { createOpenRouter } from '@openrouter/ai-sdk-provider';
import { generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai';

const { ADDRESS, KEY, MODEL } = process.env;
const openrouter = createOpenRouter({ baseURL: ADDRESS + '/api/v1', apiKey: KEY });
const asked = {
  model: openrouter(MODEL, { reasoning: { effort: 'low' }, usage: { include: true } }),
  prompt: 'How is the weather in Oslo and Rome?',
  maxRetries: 0,
  stopWhen: stepCountIs(5),
  tools: {
    get_weather: tool({
      description: 'The weather in a city.',
      inputSchema: jsonSchema({ type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }),
      execute: async ({ city }) => `7 degrees in ${city}`,
    }),
  },
};
const whole = await generateText(asked);
if (whole.totalUsage.inputTokens !== 360) throw new Error(JSON.stringify(whole.totalUsage));
if (!(whole.providerMetadata.openrouter.usage.cost > 0)) throw new Error(JSON.stringify(whole.providerMetadata));
const streamed = streamText(asked);
if ((await streamed.text) !== whole.text) throw new Error(await streamed.text);
console.log(whole.text);
"""

OPENROUTER = """
import { OpenRouter } from '@openrouter/sdk';

const { ADDRESS, KEY, MODEL, PREFERENCES } = process.env;
const openrouter = new OpenRouter({ serverURL: ADDRESS + '/api/v1', apiKey: KEY, retryConfig: { strategy: 'none' } });
const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
const provider = Object.fromEntries(Object.entries(JSON.parse(PREFERENCES)).map(([name, it]) => [camel(name), it]));
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const get_weather = { name: 'get_weather', description: 'The weather in a city.', parameters };
const tools = [{ type: 'function', function: get_weather }];
const ask = (messages, stream) => openrouter.chat.send({
  xOpenRouterMetadata: 'enabled',
  chatRequest: { model: MODEL, messages, tools, provider, stream },
});
const messages = [{ role: 'user', content: 'How is the weather in Oslo and Rome?' }];
let answer;
for (let turn = 0; turn < 2; turn++) {
  answer = await ask(messages, false);
  const said = answer.choices[0].message;
  const results = said.toolCalls.map((call) => ({
    role: 'tool', toolCallId: call.id, content: `7 degrees in ${JSON.parse(call.function.arguments).city}`,
  }));
  messages.push(said, ...results);
}
let text = '', usage, metadata;
for await (const chunk of await ask(messages, true)) {
  text += chunk.choices[0]?.delta.content ?? '';
  usage = chunk.usage ?? usage;
  metadata = chunk.openrouterMetadata ?? metadata;
}
if (usage.promptTokens !== 120 || !(usage.cost > 0)) throw new Error(JSON.stringify(usage));
for (const found of [answer.openrouterMetadata, metadata]) {
  const chosen = found?.endpoints.available.find((one) => one.selected);
  if (!chosen || found.requested !== MODEL || found.attempt !== 1) throw new Error(JSON.stringify(found));
}
console.log(text);
"""

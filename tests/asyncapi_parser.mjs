// The official parser of AsyncAPI, from npm: reads a document from standard input, writes what it found.
import {createRequire} from 'node:module';

const {Parser} = createRequire(`${process.env.MODULES}/`)('@asyncapi/parser');
let text = '';
for await (const chunk of process.stdin) text += chunk;
const {document, diagnostics} = await new Parser().parse(text);
const channels = document?.channels().all().map(channel => ({
  address: channel.address(),
  messages: channel.messages().all().map(message => message.name()),
}));
const problems = diagnostics
  .filter(each => each.code !== 'asyncapi-latest-version') // 3.0 is what most tools read
  .map(each => `${each.code} at ${each.path.join('.')}: ${each.message}`);
console.log(JSON.stringify({channels, problems}));

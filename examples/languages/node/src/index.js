const ms = require('ms');

for (const name of process.argv.slice(2)) {
  console.log(`Hello, ${name}, from Node on ${process.platform}: a minute is ${ms('1m')} ms`);
}

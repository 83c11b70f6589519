import {connect, join} from './locshare.mjs';

const [link, name] = process.argv.slice(2);
const names = {};

function onMessage(type, data) {
  if (type === 'session_state') {
    for (const each of data.participants) names[each.user_id] = each.display_name;
  } else if (type === 'participant_joined') {
    names[data.user_id] = data.display_name;
  } else if (type === 'location_update') {
    const name = names[data.user_id] ?? 'someone';
    console.log(`${name} is at ${data.lat.toFixed(5)}, ${data.lng.toFixed(5)}`);
  }
}

function onEnd(code) {
  console.log(`ended: ${code}`);
  clearInterval(timer);
}

const send = connect(await join(link, name), onMessage, onEnd);
let step = 0;
const timer = setInterval(() => {
  const angle = 6 * step++ * Math.PI / 180;
  send({
    lat: 52.52 + 0.001 * Math.sin(angle),
    lng: 13.405 + 0.001 * Math.cos(angle),
    accuracy: 5,
    timestamp: new Date().toISOString(),
  });
}, 1000);
